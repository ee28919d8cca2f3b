"""Signal 9 at the wrong moment: servers never outlive their launcher, and the next start has the data."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.xiaohui.launcher import eventually, gone, launched, quiet
from xiaohui.embedded.servers import Addresses, EmbeddedServers


async def write(home: Path, word: str) -> Addresses:
    """Commit a row and a key through the running servers of `home`."""
    addresses = EmbeddedServers(home).running()
    assert addresses is not None
    connection = await asyncpg.connect(addresses.database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ($1)", word)
    await connection.close()
    async with Redis.from_url(addresses.redis_url) as redis:
        await redis.rpush("kept", word)
        await redis.execute_command("WAITAOF", 1, 0, 5000)
    return addresses


async def kept(home: Path, told: list[str] | None = None) -> tuple[list[str], list[str]]:
    """Start again; the rows and the queue that are there."""
    with EmbeddedServers(home).start(told.append if told is not None else quiet) as running:
        connection = await asyncpg.connect(running.database_url)
        rows = [row["word"] for row in await connection.fetch("SELECT word FROM kept")]
        await connection.close()
        async with Redis.from_url(running.redis_url, decode_responses=True) as redis:
            return rows, await redis.lrange("kept", 0, -1)


@contextmanager
def slow_to_die(*pids: int, seconds: float = 1.0) -> Iterator[None]:
    """Processes that cannot react to anything until the time is over."""

    def tell_all(number: signal.Signals) -> None:
        for pid in pids:
            os.kill(pid, number)

    tell_all(signal.SIGSTOP)
    waking = threading.Timer(seconds, tell_all, [signal.SIGCONT])
    waking.start()
    yield
    waking.join()


@pytest.mark.parametrize("how", ["main", "thread"])
async def test_servers_die_with_a_killed_launcher_and_come_back_with_the_data(home: Path, how: str) -> None:
    with launched(home, how) as run:
        await write(home, "签到")
        run.kill()
        assert eventually(run.ended)
    assert await kept(home) == (["签到"], ["签到"])


async def test_starting_again_at_once_waits_for_what_the_killed_run_left(home: Path) -> None:
    with launched(home) as run:
        await write(home, "签到")
        with slow_to_die(run.postgres, run.valkey):
            run.kill()
            assert await kept(home) == (["签到"], ["签到"])
        assert run.ended()


async def test_a_backend_that_outlives_its_killed_server_is_waited_for(home: Path) -> None:
    with launched(home) as run:
        addresses = await write(home, "签到")
        connection = await asyncpg.connect(addresses.database_url)
        with slow_to_die(connection.get_server_pid()):
            for pid in (run.postgres, run.process.pid):
                os.kill(pid, signal.SIGKILL)
            assert await kept(home) == (["签到"], ["签到"])
        connection.terminate()


async def test_everything_killed_at_once_recovers(home: Path) -> None:
    with launched(home) as run:
        await write(home, "签到")
        for pid in (run.process.pid, run.postgres, run.valkey):
            os.kill(pid, signal.SIGKILL)
        run.process.wait()
        assert await kept(home) == (["签到"], ["签到"])


async def test_a_number_noted_before_a_reboot_may_belong_to_a_stranger_now(home: Path) -> None:
    with launched(home) as run:
        addresses = await write(home, "签到")
        for pid in (run.process.pid, run.postgres):
            os.kill(pid, signal.SIGKILL)
        assert eventually(run.ended)
    noted = home / "postgres" / "postmaster.pid"
    sockets = Path(addresses.redis_url.removeprefix("unix://")).parent
    # Of the same account as the server, because PostgreSQL believes in nobody else's processes.
    with subprocess.Popen(["sleep", "60"], user=noted.stat().st_uid) as stranger:  # noqa: ASYNC220 - returns at once
        for lock in (noted, sockets / ".s.PGSQL.5432.lock"):
            lock.write_bytes(f"{stranger.pid}\n".encode() + lock.read_bytes().split(b"\n", 1)[1])
        assert await kept(home) == (["签到"], ["签到"])
        assert stranger.poll() is None
        stranger.kill()


async def test_a_torn_last_record_of_the_queue_costs_only_that_record(home: Path) -> None:
    with launched(home) as run:
        await write(home, "先")
        await write(home, "后")
        run.kill()
        assert eventually(lambda: gone(run.valkey))
    (tail,) = (home / "valkey" / "appendonlydir").glob("*.incr.aof")
    os.truncate(tail, tail.stat().st_size - 3)
    rows, queue = await kept(home)
    assert rows == ["先", "后"]
    assert queue == ["先"]


async def test_a_broken_queue_file_is_set_aside_and_said(home: Path) -> None:
    with launched(home) as run:
        await write(home, "签到")
        run.finish()
    (tail,) = (home / "valkey" / "appendonlydir").glob("*.incr.aof")
    whole = tail.read_bytes()
    tail.write_bytes(whole[:20] + b"\x00garbage\x00" + whole[20:])
    told: list[str] = []
    assert await kept(home, told) == (["签到"], [])
    assert len(told) == 1
    assert "queue file is broken" in told[0]
    assert "队列文件已损坏" in told[0]
    assert (home / "valkey.broken-1" / "appendonlydir").is_dir()


def test_an_interrupted_first_start_is_begun_again(fresh_home: Path) -> None:
    fresh_home.mkdir()
    half = fresh_home / "postgres.new-12345"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    EmbeddedServers(fresh_home).start(quiet).stop()
    assert not half.exists()
    assert (fresh_home / "postgres" / "PG_VERSION").exists()


async def test_interrupt_in_the_terminal_does_not_reach_the_servers(home: Path) -> None:
    with launched(home) as run:
        assert os.getpgid(run.postgres) == run.postgres
        assert os.getpgid(run.valkey) == run.valkey
        assert os.getpgid(run.process.pid) not in (run.postgres, run.valkey)
