"""Clients that keep asking until they are answered, what they were promised, and whether it was kept."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from aiohttp import ClientError

from loyalty import clock, db
from tests.miniapp_api.people import new_member
from tests.support.official_account import OfficialAccount
from tests.support.storm import SERVER_ERRORS, Caller, counted

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
    """What the clients did and heard. With `forgiving`, a server error is asked again instead of failing."""

    forgiving: bool = False
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
            if status >= SERVER_ERRORS and self.forgiving:
                self.troubles[str(status)] += 1
                assert time.monotonic() < deadline, f"{name} heard nothing but errors for {PATIENCE_S} s"
                await asyncio.sleep(REST_S)
                continue
            # A process that dies says nothing; one that lives answers.
            assert status < SERVER_ERRORS, (name, status, body)
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
