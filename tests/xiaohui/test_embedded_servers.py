"""The embedded servers as their users see them: start, use, stop, start again, one at a time."""

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest
from arq.connections import RedisSettings, create_pool
from redis.asyncio import Redis
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.base.config_generator import expand_db_url

from tests.xiaohui.launcher import launched, quiet
from xiaohui.embedded import folders, refusals
from xiaohui.embedded.servers import EmbeddedServers


async def ask(url: str, question: str) -> object:
    """One value from the database."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_state_survives_a_stop_and_the_second_start_is_fast(fresh_home: Path) -> None:
    told: list[str] = []
    with EmbeddedServers(fresh_home).start(told.append) as running:
        await ask(running.database_url, "CREATE TABLE kept AS SELECT '签到' AS word")
        async with Redis.from_url(running.redis_url) as redis:
            await redis.set("kept", "签到")
    assert len(told) == 1
    assert "首次启动" in told[0]
    assert "first start" in told[0]

    seconds = []
    for _ in range(3):
        begin = time.monotonic()
        with EmbeddedServers(fresh_home).start(told.append) as running:
            seconds.append(time.monotonic() - begin)
            assert await ask(running.database_url, "SELECT word FROM kept") == "签到"
            async with Redis.from_url(running.redis_url, decode_responses=True) as redis:
                assert await redis.get("kept") == "签到"
    assert min(seconds) < 1.0
    assert len(told) == 1


async def test_the_database_is_durable_private_and_speaks_unicode(home: Path) -> None:
    with EmbeddedServers(home).start(quiet) as running:
        url = running.database_url
        settings = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "listen_addresses", "timezone")
        values = [await ask(url, f"SHOW {name}") for name in settings]
        assert values == ["on", "on", "on", "on", "", "UTC"]
        assert await ask(url, "SHOW server_encoding") == "UTF8"
        assert await ask(url, "SELECT lower('ÀÉΣ') || upper('ü')") == "àéσÜ"
        assert await ask(url, "SELECT count(*) FROM pg_hba_file_rules WHERE type <> 'local'") == 0
        assert stat.S_IMODE(running.postgres.sockets.stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "valkey").stat().st_mode) == 0o700
        async with Redis.from_url(running.redis_url, decode_responses=True) as redis:
            kept = await redis.config_get("append*")
            assert (kept["appendonly"], kept["appendfsync"]) == ("yes", "everysec")
            assert (await redis.config_get("port"))["port"] == "0"


async def test_tortoise_and_arq_take_the_addresses_from_a_temporary_folder_with_odd_characters(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = home.parent.parent.parent / "临时 t%m"
    odd.mkdir()
    odd.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    with EmbeddedServers(home).start(quiet) as running:
        assert running.postgres.sockets.parent == odd
        tortoise = AsyncpgDBClient(connection_name="odd", **expand_db_url(running.database_url)["credentials"])
        await tortoise.create_connection(with_db=True)
        try:
            assert await tortoise.execute_query_dict("SELECT current_database() AS name") == [{"name": "xiaohui"}]
        finally:
            await tortoise.close()
        pool = await create_pool(RedisSettings(unix_socket_path=str(running.valkey.socket)))
        try:
            assert await pool.enqueue_job("greet") is not None
        finally:
            await pool.aclose()
        async with Redis.from_url(running.redis_url) as redis:
            assert await redis.dbsize() > 0


async def test_arq_takes_the_address_itself(home: Path) -> None:
    with EmbeddedServers(home).start(quiet) as running:
        pool = await create_pool(RedisSettings.from_dsn(running.redis_url))
        try:
            assert await pool.ping()
        finally:
            await pool.aclose()


async def test_a_second_instance_is_refused_and_told_what_to_do(home: Path) -> None:
    with launched(home) as first:
        with pytest.raises(refusals.AlreadyRunning) as refusal:
            EmbeddedServers(home).start(quiet)
        assert refusal.value.exit_status == 3
        assert refusal.value.pid == first.process.pid
        for part in (refusal.value.chinese, refusal.value.english):
            assert f"kill {first.process.pid}" in part
            assert str(home) in part
            assert "XIAOHUI_HOME=" in part
        with launched(home) as second:
            assert second.said[-1].startswith("refused 3")
        beside = EmbeddedServers(home).running()
        assert beside is not None
        assert await ask(beside.database_url, "SELECT 1") == 1
        first.finish()
    assert EmbeddedServers(home).running() is None
    assert not (home / "servers.json").exists()


async def test_two_homes_run_side_by_side(home: Path) -> None:
    with EmbeddedServers(home).start(quiet) as one, EmbeddedServers.temporary().start(quiet) as other:
        await ask(one.database_url, "CREATE TABLE only_here ()")
        assert await ask(other.database_url, "SELECT to_regclass('only_here')") is None
        assert one.redis_url != other.redis_url


def test_temporary_servers_leave_nothing_behind() -> None:
    with EmbeddedServers.temporary().start(quiet) as running:
        folders_used = (running.postgres.folder, running.postgres.log, running.postgres.sockets)
        assert all(path.exists() for path in folders_used)
    assert not any(path.exists() for path in folders_used)


def test_what_a_killed_temporary_run_left_is_removed_by_the_next() -> None:
    left, starting = EmbeddedServers.temporary(), EmbeddedServers.temporary()
    (left.home / "servers.lock").touch()
    with EmbeddedServers.temporary().start(quiet) as used:
        assert not left.home.exists()
        assert starting.home.exists()
        another = EmbeddedServers.temporary()
        assert used.postgres.folder.exists()
    for never_started in (starting, another):
        never_started.home.rmdir()


def test_a_server_that_cannot_start_shows_its_own_words_and_gives_the_home_free(home: Path) -> None:
    EmbeddedServers(home).start(quiet).stop()
    control = home / "postgres" / "global" / "pg_control"
    saved = control.read_bytes()
    control.unlink()
    with pytest.raises(refusals.ServerDied) as refusal:
        EmbeddedServers(home).start(quiet)
    assert "pg_control" in refusal.value.last_lines
    assert str(home / "log" / "postgres.log") in str(refusal.value)
    control.write_bytes(saved)
    if os.geteuid() == 0:
        shutil.chown(control, (home / "postgres").owner())
    EmbeddedServers(home).start(quiet).stop()


def test_a_dead_server_is_noticed(home: Path) -> None:
    with EmbeddedServers(home).start(quiet) as running:
        assert running.dead() == []
        running.valkey.stop()
        assert running.dead() == ["Valkey"]


def test_a_socket_folder_that_somebody_else_made_first_is_not_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    squatted = home.parent.parent.parent / "tmp"
    squatted.mkdir()
    squatted.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(squatted))
    (squatted / folders.socket_mark(home)).symlink_to("/etc")
    with EmbeddedServers(home).start(quiet) as running:
        assert running.postgres.sockets.parent == Path("/tmp")
    assert list((squatted / folders.socket_mark(home)).parent.iterdir()) == [squatted / folders.socket_mark(home)]


def test_an_endless_temporary_folder_name_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(home.parent))
    with EmbeddedServers(home).start(quiet) as running:
        assert len(os.fsencode(running.valkey.socket)) < 100
        assert len(os.fsencode(running.postgres.sockets / ".s.PGSQL.5432.lock")) < 100
