"""One member's points for tests of the ledger, and what is seen of them."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from loyalty import db
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries
from loyalty.ledger import service as ledger
from loyalty.ledger.service import (
    Asset,
    Capture,
    Claw,
    ClawBack,
    Grant,
    Hold,
    Operation,
    Outcome,
    TakeBack,
    Void,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
POINTS: dict[str, Any] = {"member_id": 1, "asset": Asset.POINTS}


def day(month: int, number: int, hour: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, number, hour, tzinfo=SHANGHAI)


async def members(*ids: int) -> None:
    async with db.unit_of_work():
        await ledger.open_accounts(ids or [1], now=day(1, 1))


async def posted(*batch: Operation, now: datetime) -> list[Outcome]:
    async with db.unit_of_work():
        outcomes = await ledger.post(batch, now=now)
    assert [finding.broken async for finding in fsck.check_all() if finding.broken] == []
    return outcomes


async def seen(now: datetime, member_id: int = 1) -> tuple[int, int, int, int]:
    """Available, pending, held, arrears; the replay of the postings says the same."""
    balance = (await queries.balances([member_id], at=now))[member_id].of(Asset.POINTS)
    assert await queries.balance_as_of(member_id, Asset.POINTS, now) == balance
    return balance.available, balance.pending, balance.held, balance.arrears


def grant(amount: int, key: str, at: datetime, **more: Any) -> Grant:
    return Grant(**{**POINTS, "amount": amount, "key": key, "kind": "test", "occurred_at": at, **more})


def hold(amount: int, key: str, at: datetime, minutes: int = 30) -> Hold:
    ends = at + timedelta(minutes=minutes)
    return Hold(**POINTS, amount=amount, key=key, kind="test", occurred_at=at, expires_at=ends)


def capture(of: str, at: datetime, amount: int | None = None, key: str = "capture") -> Capture:
    return Capture(**POINTS, hold_key=of, key=key, kind="spend", occurred_at=at, amount=amount)


def void(of: str, at: datetime, key: str = "void") -> Void:
    return Void(**POINTS, hold_key=of, key=key, occurred_at=at)


def take_back(
    amount: int, *of: str, at: datetime, mode: Claw = Claw.WITHIN_BALANCE, cap: int = 0, member_id: int = 1
) -> TakeBack:
    return TakeBack(
        member_id=member_id,
        asset=Asset.POINTS,
        amount=amount,
        key="refund",
        kind="refund",
        occurred_at=at,
        reverses=of,
        policy=ClawBack(mode, cap),
    )
