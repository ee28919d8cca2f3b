"""Signal 9 for web and worker processes at random moments under load, an emptied queue in between: what was accepted
is there exactly once, and what is due goes on by itself."""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import ClientError

from loyalty import clock, db
from tests.loyalty import shop
from tests.miniapp_api.people import new_member, new_partner
from tests.scenarios.town import Person, Place
from tests.support.official_account import OfficialAccount
from tests.support.product import Product, children, deployed, kill
from tests.support.storm import Caller, assert_sound, connections, counted
from tests.support.valkey import empty, own_valkey
from xiaohui.first_run import development_secrets

pytestmark = pytest.mark.usefixtures("database")

SEED = 20261121
ACTORS = 10
RISERS = 16
PATIENCE_S = 90.0
RESUMES_WITHIN_S = 60.0
REST_S = 0.02

Ask = Callable[[], Awaitable[tuple[int, object]]]


@dataclass
class Promise:
    """A request that may be repeated, and what it was answered when it was accepted."""

    name: str
    ask: Ask
    answer: tuple[int, object]


@dataclass
class Load:
    """What the clients did and heard."""

    promises: list[Promise] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    paid_fen: Counter[str] = field(default_factory=Counter)
    over: bool = False

    async def keep(self, name: str, ask: Ask) -> object:
        """Ask until there is an answer, as every client should, and remember it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                status, body = await ask()
            except (ClientError, OSError, TimeoutError) as lost:
                self.troubles[type(lost).__name__] += 1
                assert time.monotonic() < deadline, f"{name} got no answer in {PATIENCE_S} s"
                await asyncio.sleep(REST_S)
                continue
            assert status < 500, (name, status, body)  # a process that dies says nothing; one that lives answers
            self.promises.append(Promise(name, ask, (status, body)))
            return body


async def check_in(load: Load, side: OfficialAccount, caller: Caller) -> None:
    openid = f"oKill{secrets.token_hex(10)}"
    message = side.said(openid, "签到", message_id=str(secrets.randbits(62)), at=clock.wall())
    words = await load.keep("check_in", lambda: side.deliver(caller.session, message))
    assert words


async def buy(load: Load, till: Caller, member: str, number: str, amount_fen: int) -> None:
    report = {
        "external_id": number,
        "member": member,
        "amount_fen": amount_fen,
        "occurred_at": clock.now().isoformat(),
    }
    key = secrets.token_hex(12)
    await load.keep("purchase", lambda: heard(till, "/v1/partner/purchases", report, key))
    load.paid_fen[member] += amount_fen


async def give_back(load: Load, till: Caller, member: str, number: str, amount_fen: int) -> None:
    report = {
        "external_id": f"back-{number}",
        "purchase": number,
        "amount_fen": amount_fen,
        "occurred_at": clock.now().isoformat(),
    }
    key = secrets.token_hex(12)
    await load.keep("refund", lambda: heard(till, "/v1/partner/refunds", report, key))
    load.paid_fen[member] -= amount_fen


async def claim(load: Load, person: Caller, template: str) -> None:
    key = secrets.token_hex(12)
    await load.keep("claim", lambda: heard(person, "/v1/me/coupons", {"template": template}, key))


async def heard(caller: Caller, path: str, body: object, key: str) -> tuple[int, bytes]:
    answer = await caller.post(path, body, key=key)
    return answer.status, answer.body


async def act(load: Load, side: OfficialAccount, caller: Caller, till_key: str, template: str) -> None:
    """One client: it checks in strangers, and buys, returns and claims for a member of its own."""
    member = await new_member()
    member_id = str(UUID(str(await db.fetch_value("SELECT public_id FROM member WHERE id = $1", member.id))))
    person, till, number = caller.by(member.token), caller.by(till_key), 0
    while not load.over:
        number += 1
        receipt = f"{member.id}-{number}"
        await check_in(load, side, caller)
        await buy(load, till, member_id, receipt, 10_000)
        if number % 3 == 0:
            await give_back(load, till, member_id, receipt, 4_000)
        await claim(load, person, template)


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
        await asyncio.sleep(REST_S * 10)


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


async def waiting() -> dict[str, int]:
    """Work that is due and not done."""
    return {
        "events": await counted("event_pending", "dead_reason IS NULL"),
        "leased": await counted("outbox", "status IN ('leased', 'sending')"),
        "due": await counted("outbox", "status = 'queued' AND due_at <= $1", clock.now()),
    }


async def resumed() -> float:
    """Seconds until nothing that is due waits any more."""
    started = time.monotonic()
    while any((left := await waiting()).values()):
        assert time.monotonic() - started < RESUMES_WITHIN_S, left
        await asyncio.sleep(0.25)
    return time.monotonic() - started


async def once_each(load: Load) -> None:
    """Every accepted request left exactly one effect, and no request left one unasked."""
    made = Counter(promise.name for promise in load.promises)
    claimed = sum(promise.name == "claim" and promise.answer[0] == 201 for promise in load.promises)
    assert await counted("purchase") == made["purchase"]
    assert await counted("refund") == made["refund"]
    assert await counted("coupon") == claimed
    assert await counted("check_in") == made["check_in"]
    for public_id, paid_fen in load.paid_fen.items():
        row = await db.fetch_one(
            "SELECT sum(points - points_taken)::bigint AS points, sum(amount_fen - refunded_fen)::bigint AS fen FROM ("
            "  SELECT p.points, p.amount_fen, p.refunded_fen, coalesce((SELECT sum(r.points_taken) FROM refund r"
            "         WHERE r.purchase_id = p.id), 0) AS points_taken"
            "  FROM purchase p JOIN member m ON m.id = p.member_id WHERE m.public_id = $1) kept",
            UUID(public_id),
        )
        balance = await db.fetch_value(
            "SELECT available FROM ledger_balance b JOIN member m ON m.id = b.member_id"
            " WHERE m.public_id = $1 AND asset = 'points'",
            UUID(public_id),
        )
        assert row is not None
        assert (row["fen"], row["points"]) == (paid_fen, balance)


async def repeats_agree(load: Load) -> None:
    """Whoever asks again hears what was said first."""
    for promise in load.promises:
        assert await promise.ask() == promise.answer, promise.name


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
