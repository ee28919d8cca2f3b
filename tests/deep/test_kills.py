"""Signal 9 for web and worker processes at random moments under load, an emptied queue in between: what was accepted
is there exactly once, and what is due goes on by itself."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from loyalty import clock, db
from tests.loyalty import shop
from tests.miniapp_api.people import new_partner
from tests.scenarios.town import Person, Place
from tests.support.load import Load, act, buy, once_each, repeats_agree, resumed
from tests.support.official_account import OfficialAccount
from tests.support.product import Product, children, deployed, kill
from tests.support.storm import Caller, assert_sound, connections
from tests.support.valkey import empty, own_valkey
from xiaohui.first_run import development_secrets

pytestmark = pytest.mark.usefixtures("database")

SEED = 20261121
ACTORS = 10
RISERS = 16
PAUSE_S = 0.2


@dataclass(frozen=True)
class Riser:
    """A follower in the sandbox who will rise to the next tier and be told so."""

    person: Person
    member_id: int
    public_id: str


async def risers(town: Place, count: int) -> list[Riser]:
    """People who follow and have written, so that they can be told things."""
    found = []
    for _ in range(count):
        person = await town.person()
        await person.follows()
        await person.says("帮助")
        member_id = await person.member_id()
        public_id = str(await db.fetch_value("SELECT public_id FROM member WHERE id = $1", member_id))
        found.append(Riser(person, member_id, public_id))
    return found


async def lift(load: Load, till: Caller, rising: list[Riser]) -> None:
    """One after the other buys enough to rise, while processes die."""
    for riser in rising:
        await buy(load, till, riser.public_id, f"rise-{riser.member_id}", 60_000)
        await asyncio.sleep(PAUSE_S)


async def told_at_most_once(rising: list[Riser]) -> Counter[str]:
    """How the notices ended: an accepted one was shown, no one was shown twice, and none was forgotten."""
    ends: Counter[str] = Counter()
    for riser in rising:
        shown = sum("银卡" in line["text"] for line in await riser.person.screen())
        rows = await db.fetch(
            "SELECT status FROM outbox WHERE notice = 'tier_raised' AND member_id = $1", riser.member_id
        )
        (status,) = [row["status"] for row in rows]
        assert shown <= 1, (status, shown)
        assert shown == 1 or status != "accepted"
        ends[f"{status}, {'shown' if shown else 'not shown'}"] += 1
    return ends


class Reaper:
    """Kills web children, the worker, now and then the web supervisor; starts again what no supervisor does."""

    def __init__(self, product: Product, redis_url: str, chance: random.Random) -> None:
        self._product, self._redis_url, self._chance = product, redis_url, chance
        self.killed: Counter[str] = Counter()

    async def start(self) -> None:
        self._supervisor = await self._product.serve(3)
        self._worker = self._product.start("worker")

    async def reap(self, kills: int) -> None:
        while self.killed.total() < kills:
            await asyncio.sleep(self._chance.uniform(0.1, 0.9))
            victim = self._chance.choices(("web", "worker", "supervisor"), (6, 3, 1))[0]
            getattr(self, f"_kill_{victim}")()
            if self.killed.total() % 5 == 4:
                await asyncio.to_thread(empty, self._redis_url)

    def _kill_web(self) -> None:
        serving = children(self._supervisor.pid)
        if serving:
            kill(self._chance.choice(serving))
            self.killed["web"] += 1

    def _kill_worker(self) -> None:
        kill(self._worker.pid)
        self._worker.wait()
        self._product.running.remove(self._worker)
        self._worker = self._product.start("worker")
        self.killed["worker"] += 1

    def _kill_supervisor(self) -> None:
        serving = children(self._supervisor.pid)
        kill(self._supervisor.pid)
        for pid in serving:
            kill(pid)
        self._supervisor.wait()
        self._product.running.remove(self._supervisor)
        self._supervisor = self._product.start("web", "--workers", "3")
        self.killed["supervisor"] += 1


async def survive(folder: Path, database_url: str, *, kills: int) -> None:
    with own_valkey(folder) as redis_url:
        async with deployed(folder, database_url, redis_url) as product:
            reaper, load = Reaper(product, redis_url, random.Random(SEED)), Load()
            await reaper.start()
            side = OfficialAccount(product.accounts.wechat_oa[0], product.base)
            till_key = await new_partner()
            template = (await shop.template(now=clock.now(), stock=100_000, per_member_limit=100)).code
            async with connections(product.base, timeout_s=15) as caller:
                town = Place(product.base, product.platforms, development_secrets(folder), caller.session)
                rising = await risers(town, RISERS)
                async with asyncio.TaskGroup() as clients:
                    clients.create_task(lift(load, caller.by(till_key), rising))
                    for _ in range(ACTORS):
                        clients.create_task(act(load, side, caller, till_key, template))
                    await reaper.reap(kills)
                    load.over = True
                await product.ready()
                took = await resumed()
                print(  # noqa: T201 - asked to be reported
                    f"\n{dict(reaper.killed)} killed, {len(load.promises)} requests accepted,"
                    f" {dict(load.troubles)} retried; due work resumed in {took:.1f} s"
                )
                await assert_sound()
                await once_each(load)
                print(f"notices: {dict(await told_at_most_once(rising))}")  # noqa: T201 - asked to be reported
                await repeats_agree(load)


@pytest.mark.timeout(300)
async def test_25_kills_lose_nothing_and_double_nothing(database_url: str, tmp_path: Path) -> None:
    await survive(tmp_path, database_url, kills=25)


@pytest.mark.deep
@pytest.mark.timeout(3600)
async def test_300_kills_lose_nothing_and_double_nothing(database_url: str, tmp_path: Path) -> None:
    await survive(tmp_path, database_url, kills=300)
