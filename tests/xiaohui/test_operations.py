"""migrate, doctor, fsck and demo data as commands: what they say and how they end."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from loyalty import config, db
from loyalty.ladders import queries as ladders
from loyalty.outbox import service as outbox
from loyalty.outbox.service import TRANSACTION, Notice
from loyalty.program import queries as program
from scheduler.worker import is_answered
from tests.conftest import TEST_SECRET, Servers, _credentials, _renamed
from tests.loyalty.people import NOW, guest
from tests.support.valkey import own_valkey
from xiaohui import doctor
from xiaohui.demo.seed import seed

CHECKOUT = Path(__file__).resolve().parents[2]
NO_DATABASE = "postgres://root@127.0.0.1:1/xiaohui"
NO_REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture
async def fresh_database_url(servers: Servers) -> AsyncIterator[str]:
    """A database without any table."""
    name = f"xiaohui_test_{os.getpid()}_{secrets.token_hex(3)}"
    admin = await asyncpg.connect(**_credentials(servers.database_url))
    await admin.execute(f'CREATE DATABASE "{name}"')
    yield _renamed(servers.database_url, name)
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


async def command(
    home: Path, *arguments: str, database_url: str, redis_url: str, **changes: str
) -> "subprocess.CompletedProcess[str]":
    """`xiaohui <arguments>` on these servers; standard error is part of what it says."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("XIAOHUI_")},
        "XIAOHUI_DATABASE_URL": database_url,
        "XIAOHUI_REDIS_URL": redis_url,
        "XIAOHUI_SECRET": TEST_SECRET.decode(),
        "XIAOHUI_HOME": str(home),
        **changes,
    }
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "xiaohui", *arguments],
        env=environment,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


async def test_from_an_empty_database_to_one_that_is_broken(
    fresh_database_url: str, servers: Servers, tmp_path: Path
) -> None:
    async def say(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return await command(tmp_path, *arguments, database_url=fresh_database_url, redis_url=servers.redis_url)

    examined = await say("doctor")
    assert examined.returncode == 1
    assert "✗ 结构 · schema：缺少 · missing 0001_initial" in examined.stdout
    assert "→ 运行 xiaohui migrate" in examined.stdout
    assert "– 账本 · ledger：未检查" in examined.stdout
    migrated = await say("migrate")
    assert migrated.returncode == 0
    assert "✓ 0001_initial\n  ✓ 0002_guards\n" in migrated.stdout
    seeded = await say("demo", "seed", "--members", "30")
    assert seeded.returncode == 0, seeded.stdout
    assert "30 demo members added" in seeded.stdout
    owner = await asyncpg.connect(**_credentials(fresh_database_url))
    member_id = await owner.fetchval("SELECT min(member_id) FROM ledger_balance WHERE available > 0")
    await owner.execute("UPDATE ledger_balance SET available = available + 1 WHERE member_id = $1", member_id)
    await owner.close()
    broken = await say("fsck")
    assert broken.returncode == 1
    assert "✗ balance_equals_postings" in broken.stdout
    assert f"      member {member_id} points: balance" in broken.stdout
    assert "✓ lot_equals_postings" in broken.stdout
    examined = await say("doctor")
    assert examined.returncode == 1
    assert "✗ 账本 · ledger：balance_equals_postings" in examined.stdout


async def test_doctor_with_everything_away(tmp_path: Path) -> None:
    examined = await command(tmp_path, "doctor", database_url=NO_DATABASE, redis_url=NO_REDIS)
    assert examined.returncode == 1
    assert "✗ 数据库 · database" in examined.stdout
    assert "✗ Redis" in examined.stdout
    assert "检查 XIAOHUI_DATABASE_URL" in examined.stdout
    assert "检查 XIAOHUI_REDIS_URL" in examined.stdout
    assert examined.stdout.count("not looked at") == 4
    assert "Traceback" not in examined.stdout


async def test_a_database_that_is_away_is_a_sentence(tmp_path: Path) -> None:
    ended = await command(tmp_path, "fsck", database_url=NO_DATABASE, redis_url=NO_REDIS)
    assert ended.returncode == 1
    assert "the database cannot be used" in ended.stdout
    assert "Traceback" not in ended.stdout


@pytest.mark.usefixtures("database")
class TestExaminations:
    async def test_messages_that_nobody_sends(self) -> None:
        now = await db.now()
        notice = Notice(
            key="n",
            notice="tier_raised",
            send_class="service_notice",
            purpose=TRANSACTION,
            member_id=1,
            due_at=now - timedelta(minutes=4),
            give_up_at=now + timedelta(days=1),
        )
        async with db.unit_of_work():
            await outbox.queue(notice, now=now)
        assert "1 due" in await doctor._outbox(idle=False)
        await db.execute("UPDATE outbox SET due_at = due_at - interval '2 minutes'")
        with pytest.raises(doctor.Unhealthy, match="1 due, the oldest for 36"):
            await doctor._outbox(idle=False)
        assert "1 due" in await doctor._outbox(idle=True)

    async def test_a_worker_that_does_not_answer(self, tmp_path: Path) -> None:
        with own_valkey(tmp_path) as redis_url:
            assert not await is_answered(redis_url, within_s=0.2)
            settings = config.load({"XIAOHUI_REDIS_URL": redis_url})
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(doctor, "WORKER_WITHIN_S", 0.2)
                assert "none runs" in await doctor._worker(settings, idle=False)
                production = {
                    "XIAOHUI_ENVIRONMENT": "production",
                    "XIAOHUI_SECRET": "x" * 32,
                    "XIAOHUI_DATABASE_URL": NO_DATABASE,
                    "XIAOHUI_REDIS_URL": redis_url,
                }
                with pytest.raises(doctor.Unhealthy, match="no worker answers"):
                    await doctor._worker(config.load(production), idle=False)
                assert "not running" in await doctor._worker(settings, idle=True)

    async def test_data_sealed_with_another_secret(self) -> None:
        await guest()
        assert "opens the data" in await doctor._secret(config.load({"XIAOHUI_SECRET": TEST_SECRET.decode()}))
        try:
            with pytest.raises(doctor.Unhealthy, match="sealed with another one"):
                await doctor._secret(config.load({"XIAOHUI_SECRET": "y" * 32}))
        finally:
            await doctor._secret(config.load({"XIAOHUI_SECRET": TEST_SECRET.decode()}))

    async def test_production_without_channels(self) -> None:
        production = {
            "XIAOHUI_ENVIRONMENT": "production",
            "XIAOHUI_SECRET": "x" * 32,
            "XIAOHUI_DATABASE_URL": NO_DATABASE,
            "XIAOHUI_REDIS_URL": NO_REDIS,
        }
        with pytest.raises(doctor.Unhealthy, match="no channel is configured"):
            await doctor._channels(config.load(production))


SEEDED = """
SELECT i.external_id, m.name_masked, m.phone_masked, m.birthday_month_day, m.status,
       (SELECT sum(e.delta) FROM ledger_entry e
        WHERE e.member_id = m.id AND e.asset = 'points' AND NOT starts_with(e.kind, 'draw')) AS points,
       (SELECT array_agg(p.external_id || ':' || p.amount_fen || ':' || p.occurred_at ORDER BY p.external_id)
        FROM purchase p WHERE p.member_id = m.id) AS purchases,
       (SELECT count(*) FROM coupon c WHERE c.member_id = m.id AND c.origin <> 'draw') AS coupons
FROM member m JOIN channel_identity i ON i.member_id = m.id ORDER BY i.external_id
"""


@pytest.mark.usefixtures("database")
class TestSeed:
    async def seeded(self, members: int, number: int) -> list[tuple[object, ...]]:
        program.forget()
        ladders.forget()
        said: list[str] = []
        await seed(members=members, corp_id="ww1", seed=number, now=NOW, progress=said.append)
        return [tuple(row) for row in await db.fetch(SEEDED)]

    async def emptied(self) -> None:
        from tests.conftest import EMPTY_ALL

        await db.execute(EMPTY_ALL)

    async def test_the_same_seed_makes_the_same_people_with_the_same_past(self) -> None:
        first = await self.seeded(60, 7)
        await self.emptied()
        assert await self.seeded(60, 7) == first
        await self.emptied()
        assert await self.seeded(60, 8) != first
        assert any(row[6] for row in first)

    async def test_more_members_keep_those_that_were_there(self) -> None:
        first = await self.seeded(20, 7)
        assert await self.seeded(20, 7) == first
        more = await self.seeded(50, 7)
        assert more[:20] == first
        assert len(more) == 50

    async def test_two_seeds_live_side_by_side(self) -> None:
        await self.seeded(30, 1)
        assert len(await self.seeded(30, 2)) == 60

    async def test_progress_is_said_by_the_thousand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from xiaohui.demo import seed as module

        monkeypatch.setattr(module, "CHUNK", 10)
        monkeypatch.setattr(module, "PROGRESS_EVERY", 20)
        said: list[str] = []
        await seed(members=45, corp_id="ww1", seed=3, now=NOW, progress=said.append)
        assert said == ["20 / 45", "40 / 45"]

    async def test_an_interrupted_run_goes_on_where_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from xiaohui.demo import seed as module

        whole = await self.seeded(40, 5)
        await self.emptied()
        program.forget()
        monkeypatch.setattr(module, "CHUNK", 10)
        monkeypatch.setattr(module, "PROGRESS_EVERY", 10)

        def interrupt(line: str) -> None:
            if line.startswith("20 "):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await seed(members=40, corp_id="ww1", seed=5, now=NOW, progress=interrupt)
        assert await db.fetch_value("SELECT count(*) FROM member") == 20
        assert await self.seeded(40, 5) == whole
