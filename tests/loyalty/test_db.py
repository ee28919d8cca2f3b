"""Addresses as people write them, and the rules of a unit of work."""

import asyncpg
import pytest

from loyalty import db
from loyalty.errors import Bug


def credentials(url: str) -> tuple[object, ...]:
    whole = db.tortoise_config(url)["connections"][db.CONNECTION]["credentials"]
    return tuple(whole[key] for key in ("host", "port", "user", "password", "database"))


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("postgres://u:p@db:6000/x", ("db", 6000, "u", "p", "x")),
        ("postgresql://db/x", ("db", 5432, "postgres", None, "x")),
        ("postgres://u:p%40ss%2Fw%3Ard@db/x", ("db", 5432, "u", "p@ss/w:rd", "x")),
        ("postgres:///x?host=/run/my%20folder&user=u&port=6000", ("/run/my folder", 6000, "u", None, "x")),
        ("postgres://u@[::1]:6000/x", ("::1", 6000, "u", None, "x")),
    ],
)
def test_addresses(url: str, read: tuple[object, ...]) -> None:
    assert credentials(url) == read


def test_the_wanted_encryption_is_passed_on() -> None:
    whole = db.tortoise_config("postgres://u@db/x?sslmode=verify-full")["connections"][db.CONNECTION]["credentials"]
    assert whole["ssl"] == "verify-full"
    assert "ssl" not in db.tortoise_config("postgres://u@db/x")["connections"][db.CONNECTION]["credentials"]


@pytest.mark.usefixtures("database")
class TestUnitOfWork:
    async def test_units_of_work_do_not_nest(self) -> None:
        async with db.unit_of_work():
            assert db.in_unit_of_work()
            with pytest.raises(Bug):
                await self._open()
        assert not db.in_unit_of_work()

    async def _open(self) -> None:
        async with db.unit_of_work():
            pass

    async def test_an_attempt_undoes_only_itself(self) -> None:
        async with db.unit_of_work():
            await db.execute("CREATE TEMPORARY TABLE attempts (n int) ON COMMIT DROP")
            await db.execute("INSERT INTO attempts VALUES (1)")
            with pytest.raises(asyncpg.DivisionByZeroError):
                await self._fail()
            assert await db.fetch_value("SELECT count(*) FROM attempts") == 1

    async def _fail(self) -> None:
        async with db.attempt():
            await db.execute("INSERT INTO attempts VALUES (2)")
            await db.fetch_value("SELECT 1 / 0")

    async def test_a_tie_is_tried_four_times_and_then_told(self) -> None:
        tries = 0

        async def tie() -> None:
            nonlocal tries
            tries += 1
            raise asyncpg.SerializationError

        with pytest.raises(asyncpg.SerializationError):
            await db.retried(tie)
        assert tries == db.RETRIES_MAX
