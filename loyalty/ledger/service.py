"""The only writer of balances, lots, holds, entries and postings.

`post` books a batch in a fixed number of statements: lock the wallets in order, read what is booked and
which lots are open, plan in memory (`rules.plan`), write everything in one statement. The unique entry
key makes each operation happen once; CHECK constraints refuse what a wrong plan would do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from loyalty import db
from loyalty.errors import ensure
from loyalty.ledger import statements
from loyalty.ledger.booking import Plan
from loyalty.ledger.lots import Booked, EntryKey
from loyalty.ledger.operations import (
    Account,
    Activate,
    Asset,
    Assume,
    CancelPending,
    Capture,
    Claw,
    ClawBack,
    Expire,
    Grace,
    Grant,
    Hold,
    Idle,
    Operation,
    Pending,
    Reverse,
    Settle,
    Spend,
    TakeBack,
    Transfer,
    Void,
    check,
)
from loyalty.ledger.outcomes import (
    AlreadyPosted,
    CaptureTooLarge,
    HoldOver,
    HoldUnknown,
    KeyReused,
    NotEnough,
    NothingPending,
    NothingToDo,
    NothingToReverse,
    Outcome,
    Posted,
    Refused,
)
from loyalty.ledger.reading import lock, opened_assets, read, refers, wallet_keys
from loyalty.ledger.rules import plan
from loyalty.ledger.writing import write

__all__ = [
    "Account",
    "Activate",
    "AlreadyPosted",
    "Asset",
    "Assume",
    "CancelPending",
    "Capture",
    "CaptureTooLarge",
    "Claw",
    "ClawBack",
    "Expire",
    "Grace",
    "Grant",
    "Hold",
    "HoldOver",
    "HoldUnknown",
    "Idle",
    "KeyReused",
    "NotEnough",
    "NothingPending",
    "NothingToDo",
    "NothingToReverse",
    "Operation",
    "Outcome",
    "Pending",
    "Posted",
    "Reverse",
    "Spend",
    "TakeBack",
    "Transfer",
    "Void",
    "expire_due",
    "open_accounts",
    "post",
    "post_one",
    "settle_due",
]


async def open_accounts(member_ids: Sequence[int], *, now: datetime) -> None:
    """Create the balance rows of new members, so that a first spend has a row to be refused by."""
    await db.execute(statements.OPEN, list(member_ids), opened_assets())


async def post(batch: Sequence[Operation], *, now: datetime) -> list[Outcome]:
    """Book every operation, in order, or say why not; a refusal of one leaves the others booked.

    The same key of the same member books once and answers the same again. An operation about another one of the
    same batch is booked after it.
    """
    for operation in batch:
        check(operation)
    segments = list(_segments(batch))
    if len(segments) > 1:
        # Everything is locked in one order before the first of several rounds.
        await lock(wallet_keys(batch))
    outcomes: list[Outcome] = []
    for segment in segments:
        world = await read(segment, now)
        made = plan(segment, world)
        ids = await write(made, now) if made.entries else {}
        outcomes += [_outcome(result, made, ids) for result in made.results]
    return outcomes


def _segments(batch: Sequence[Operation]) -> Iterator[list[Operation]]:
    """The batch in rounds: whatever is about an operation of the same batch comes in a later round."""
    segment: list[Operation] = []
    keys: set[tuple[int, str]] = set()
    for operation in batch:
        about = refers(operation)
        if about and any((operation.member_id, key) in keys for key in about):
            yield segment
            segment, keys = [], set()
        segment.append(operation)
        keys.add((operation.member_id, operation.key))
    if segment:
        yield segment


async def post_one(operation: Operation, *, now: datetime) -> Posted:
    """`post` of one.

    Raises:
        NotEnough, KeyReused, NothingToReverse, NothingPending, HoldUnknown, HoldOver, AlreadyPosted,
        CaptureTooLarge: as the outcome says.
    """
    outcome = (await post([operation], now=now))[0]
    if isinstance(outcome, NothingToDo):
        raise NothingToReverse(key=operation.key)
    if not isinstance(outcome, Posted):
        raise outcome
    return outcome


def _outcome(result: tuple[EntryKey, bool] | Booked | Refused, made: Plan, ids: dict[EntryKey, int]) -> Outcome:
    if isinstance(result, Booked):
        return _posted(result.id, result, replayed=True)
    if isinstance(result, tuple):
        at, replayed = result
        row = made.entries[at]
        return Posted(
            ids[at],
            row.amount,
            row.delta,
            row.balance_after,
            replayed=replayed,
            pending_delta=row.pending_delta,
            held_delta=row.held_delta,
            arrears_delta=row.arrears_delta,
        )
    return result


def _posted(entry_id: int, row: Booked, *, replayed: bool) -> Posted:
    return Posted(
        entry_id,
        row.amount,
        row.delta,
        row.balance_after,
        replayed=replayed,
        pending_delta=row.pending_delta,
        held_delta=row.held_delta,
        arrears_delta=row.arrears_delta,
    )


async def expire_due(*, now: datetime, batch_max: int) -> list[tuple[int, Posted]]:
    """Close lots whose time is over, at most `batch_max`; the member and entry of each.

    Spending never relies on it: a dead lot is unusable from its expiry on, swept or not.
    """
    rows = await db.fetch(statements.EXPIRED_LOTS, now, batch_max)
    batch = [
        Expire(member_id=row["member_id"], asset=Asset(row["asset"]), lot_id=row["id"], occurred_at=now) for row in rows
    ]
    return _fresh(batch, await post(batch, now=now))


@dataclass(frozen=True, slots=True)
class Settled:
    """What time alone has decided: `kind` is activate, hold_expired or pending_cancelled."""

    member_id: int
    asset: Asset
    kind: str
    amount: int
    at: datetime


async def settle_due(*, now: datetime, batch_max: int) -> list[Settled]:
    """Book holds that ended, pending units that became usable, and those whose event never came; at most
    `batch_max` wallets. Reading and spending never rely on it."""
    rows = await db.fetch(statements.DUE, now, batch_max)
    batch: list[Operation] = [
        Settle(member_id=row["member_id"], asset=Asset(row["asset"]), occurred_at=now) for row in rows
    ]
    batch += [
        CancelPending(
            member_id=row["member_id"],
            asset=Asset(row["asset"]),
            grant_key=row["grant_key"],
            key=f"pending_cancelled:{row['id']}",
            occurred_at=now,
        )
        for row in await db.fetch(statements.LOST, now, batch_max)
    ]
    if not batch:
        return []
    made = plan(batch, await read(batch, now))
    if made.entries:
        await write(made, now)
    return [
        Settled(row.member_id, row.asset, row.kind, row.amount, row.occurred_at)
        for row in made.entries.values()
        if row.kind in {"activate", "hold_expired", "pending_cancelled"}
    ]


def _fresh(batch: Sequence[Operation], outcomes: Sequence[Outcome]) -> list[tuple[int, Posted]]:
    ensure(len(batch) == len(outcomes), "every operation has its outcome")
    return [
        (operation.member_id, outcome)
        for operation, outcome in zip(batch, outcomes, strict=True)
        if isinstance(outcome, Posted) and not outcome.replayed
    ]
