"""Shared platform tokens: sealed at rest, leased to one refresher, fenced against a late one."""

from datetime import UTC, datetime, timedelta

import pytest

from loyalty import db, vault
from loyalty.credentials import service

pytestmark = pytest.mark.usefixtures("database")
EXPIRES = datetime(2026, 11, 1, 6, tzinfo=UTC)
NAME = "wechat/wx1/access_token"


async def test_what_was_stored_is_read_back_and_never_lies_in_the_clear() -> None:
    async with db.unit_of_work():
        assert await service.read(NAME) is None
        epoch = await service.try_lease(NAME, "a", 10)
        assert epoch is not None
        assert await service.store(NAME, "the-token", EXPIRES, epoch)
        credential = await service.read(NAME)
        sealed = await db.fetch_value("SELECT value_sealed FROM platform_credential WHERE name = $1", NAME)
    assert credential is not None
    assert (credential.value, credential.expires_at) == ("the-token", EXPIRES)
    assert b"the-token" not in sealed


async def test_one_holder_at_a_time_until_it_gives_back_or_its_time_is_over() -> None:
    async with db.unit_of_work():
        first = await service.try_lease(NAME, "a", 10)
        assert first is not None
        assert await service.try_lease(NAME, "b", 10) is None
        await service.release(NAME, first)
        second = await service.try_lease(NAME, "b", 0)
        assert second == first + 1
        assert await service.try_lease(NAME, "c", 10) == second + 1


async def test_a_holder_that_wakes_up_late_cannot_overwrite_its_successor() -> None:
    async with db.unit_of_work():
        late = await service.try_lease(NAME, "a", 0)
        next_one = await service.try_lease(NAME, "b", 10)
        assert late is not None
        assert next_one is not None
        assert await service.store(NAME, "new", EXPIRES, next_one)
        assert not await service.store(NAME, "stale", EXPIRES - timedelta(hours=1), late)
        await service.release(NAME, late)
        credential = await service.read(NAME)
    assert credential is not None
    assert credential.value == "new"


async def test_a_token_moved_to_another_name_does_not_open() -> None:
    async with db.unit_of_work():
        epoch = await service.try_lease(NAME, "a", 10)
        assert epoch is not None
        await service.store(NAME, "the-token", EXPIRES, epoch)
        await db.execute("UPDATE platform_credential SET name = 'other'")
        assert await service.read("other") is None


async def test_a_token_of_another_root_secret_counts_as_none() -> None:
    async with db.unit_of_work():
        epoch = await service.try_lease(NAME, "a", 10)
        assert epoch is not None
        foreign = vault.seal(b'{"value":"x"}', context="somewhere else")
        await db.execute("UPDATE platform_credential SET value_sealed = $1", foreign)
        assert await service.read(NAME) is None
