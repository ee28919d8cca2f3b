"""The only writer of balances, lots, holds, entries and postings.

`post` books a batch in a fixed number of statements: lock the wallets in order, read what is booked and
which lots are open, plan in memory (`rules.plan`), write everything in one statement. The unique entry
key makes each operation happen once; CHECK constraints refuse what a wrong plan would do.
"""

from collections.abc import Sequence
from datetime import datetime

from loyalty import db
from loyalty.events import Event, PointsActivated, PointsHoldExpired, PointsLapsed
from loyalty.ledger import statements
from loyalty.ledger.booking import EntryRow, Plan
from loyalty.ledger.lots import Booked, EntryKey, WalletKey
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
    Forgive,
    Grace,
    Grant,
    Hold,
    Idle,
    MoveHold,
    MovePending,
    Operation,
    Pending,
    Reverse,
    Settle,
    Spend,
    TakeBack,
    Transfer,
    Void,
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
from loyalty.ledger.questions import check
from loyalty.ledger.reading import lock, opened_assets, read, refers, wallet_keys
from loyalty.ledger.rules import plan
from loyalty.ledger.writing import write
from loyalty.spine import service as spine

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
    "Forgive",
    "Grace",
    "Grant",
    "Hold",
    "HoldOver",
    "HoldUnknown",
    "Idle",
    "KeyReused",
    "MoveHold",
    "MovePending",
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
    rounds = _rounds(batch)
    if len(rounds) > 1:
        # Everything is locked in one order before the first of several rounds.
        await lock(wallet_keys(batch))
    outcomes: dict[int, Outcome] = {}
    for places in rounds:
        asked = [batch[place] for place in places]
        made = plan(asked, await read(asked, now))
        ids = await write(made, now) if made.entries else {}
        await _tell(made, now)
        outcomes |= dict(zip(places, (_outcome(result, made, ids) for result in made.results), strict=True))
    return [outcomes[place] for place in range(len(batch))]


def _rounds(batch: Sequence[Operation]) -> list[list[int]]:
    """Places of the batch in rounds: what is about an operation of the same batch comes a round later, and whatever
    follows it in the same wallets not before it. As many rounds as the longest chain, however long the batch."""
    rounds: list[list[int]] = []
    round_of: dict[tuple[int, str], int] = {}
    reached: dict[WalletKey, int] = {}
    for place, operation in enumerate(batch):
        wallets = wallet_keys([operation])
        about = [round_of[at] + 1 for key in refers(operation) if (at := (operation.member_id, key)) in round_of]
        number = max([0, *about, *(reached.get(wallet, 0) for wallet in wallets)])
        reached |= dict.fromkeys(wallets, number)
        round_of.setdefault((operation.member_id, operation.key), number)
        rounds += [[] for _ in range(number + 1 - len(rounds))]
        rounds[number].append(place)
    return rounds


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


async def expire_due(*, now: datetime, batch_max: int) -> list[tuple[Asset, int, Posted]]:
    """Close lots whose time is over, at most `batch_max`, with an entry each, of zero where nothing was left; the
    asset, member and entry of each.

    Spending never relies on it: a dead lot is unusable from its expiry on, swept or not.
    """
    batch = [
        Expire(member_id=row["member_id"], asset=Asset(row["asset"]), lot_id=row["id"], occurred_at=row["expires_at"])
        for row in await db.fetch(statements.EXPIRED_LOTS, now, batch_max)
    ]
    return [
        (operation.asset, operation.member_id, outcome)
        for operation, outcome in zip(batch, await post(batch, now=now), strict=True)
        if isinstance(outcome, Posted) and not outcome.replayed
    ]


async def settle_due(*, now: datetime, batch_max: int) -> int:
    """Book holds that ended, pending units that became usable, and those whose event never came, in at most
    `batch_max` wallets of each sort; in how many. Reading and spending never rely on it."""
    batch = [
        Settle(member_id=row["member_id"], asset=Asset(row["asset"]), occurred_at=now)
        for row in await db.fetch(statements.DUE, now, batch_max)
    ]
    await post(batch, now=now)
    return len(batch)


async def _tell(made: Plan, now: datetime) -> None:
    """What time alone decides is told by whoever books it, be it a sweep or the next operation."""
    events = [event for row in made.entries.values() if (event := _event(row)) is not None]
    if events:
        await spine.record(*events, now=now)


def _event(row: EntryRow) -> Event | None:
    member_id, at, asset, points, balance = row.member_id, row.occurred_at, row.asset, row.amount, row.balance_after
    match row.kind:
        case "activate":
            return PointsActivated(member_id=member_id, at=at, asset=asset, points=points, balance=balance)
        case "hold_expired":
            return PointsHoldExpired(member_id=member_id, at=at, asset=asset, points=points, balance=balance)
        case "lapsed":
            return PointsLapsed(member_id=member_id, at=at, asset=asset, points=points)
        case _:
            return None
