"""What stored value paid comes back, to the very top-ups that it came from, also after members became one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.errors import NotFound, ensure
from loyalty.events import StoredValueReturned
from loyalty.ledger import service as ledger
from loyalty.ledger.operations import Account, Asset, Grant, Operation, Reverse
from loyalty.ledger.outcomes import Posted
from loyalty.spine import service as spine
from loyalty.stored_value import rules
from loyalty.stored_value.queries import grant_key
from loyalty.stored_value.service import HALVES, lock

KIND_RETURN: Final = "stored_return"

_RETURN: Final = """
UPDATE stored_use SET returned_fen = returned_fen + $2
WHERE key = $1 AND returned_fen + $2 <= amount_fen RETURNING id, member_id, amount_fen, returned_fen
"""
_BACK: Final = """
UPDATE stored_part SET principal_fen = stored_part.principal_fen - back.principal_fen,
                       bonus_fen = stored_part.bonus_fen - back.bonus_fen
FROM (
    SELECT split_part(lot.grant_key, ':', 2)::bigint AS slice_id,
           coalesce(sum(posting.amount) FILTER (WHERE posting.asset = 'principal'), 0) AS principal_fen,
           coalesce(sum(posting.amount) FILTER (WHERE posting.asset = 'bonus'), 0) AS bonus_fen
    FROM ledger_posting posting JOIN ledger_lot lot ON lot.id = posting.lot_id
    WHERE posting.entry_id = $2 AND posting.source = 'spent' GROUP BY slice_id
) AS back
WHERE stored_part.use_id = $1 AND stored_part.slice_id = back.slice_id
"""
_OF_USE: Final = "SELECT slice_id, principal_fen, bonus_fen FROM stored_part WHERE use_id = $1 ORDER BY slice_id DESC"


class NothingToReturn(NotFound):
    """Stored value did not pay this, or so much of it came back already."""

    code = "stored_value.nothing_to_return"


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """`amount_fen` of the use `key` comes back to `member_id`, who holds its purchase today; `return_key` names the
    refund."""

    member_id: int
    key: str
    amount_fen: int
    return_key: str
    occurred_at: datetime


async def give_back(asked: Return, *, now: datetime) -> None:
    """Undo a part of a use: to the very top-ups that it came from, whether or not the account is frozen.

    Raises:
        NothingToReturn
    """
    await lock(asked.member_id)
    row = await db.fetch_one(_RETURN, asked.key, asked.amount_fen)
    if row is None:
        raise NothingToReturn
    taken = await _halves(asked.key, row["member_id"])
    before, after = row["returned_fen"] - asked.amount_fen, row["returned_fen"]
    for asset, part in zip(HALVES, rules.share_of_return(taken, before, after), strict=True):
        if part:
            await _return_half(asked, row["id"], row["member_id"], asset, part, now)
    event = StoredValueReturned(
        member_id=asked.member_id, at=asked.occurred_at, amount_fen=asked.amount_fen, key=asked.key
    )
    await spine.record(event, now=now)


async def _halves(key: str, member_id: int) -> tuple[int, int]:
    """What a use took of principal and of bonus."""
    rows = await db.fetch(
        "SELECT asset, amount FROM ledger_entry WHERE key = ANY($1) AND member_id = $2",
        [f"{key}:{asset}" for asset in HALVES],
        member_id,
    )
    taken = {row["asset"]: row["amount"] for row in rows}
    return taken.get(Asset.PRINCIPAL, 0), taken.get(Asset.BONUS, 0)


async def _return_half(asked: Return, use_id: int, paid_by: int, asset: Asset, amount: int, now: datetime) -> None:
    if paid_by == asked.member_id:
        back: Operation = Reverse(
            member_id=paid_by,
            asset=asset,
            key=f"{asked.return_key}:{asset}",
            reverses_key=f"{asked.key}:{asset}",
            kind=KIND_RETURN,
            occurred_at=asked.occurred_at,
            amount=amount,
            reason={"stored_use_id": use_id},
        )
        await _booked(use_id, await ledger.post_one(back, now=now))
        return
    # Who paid was merged into this member: the spend stands with them, the top-ups are here, and get it back by name.
    left = amount
    for row in await db.fetch(_OF_USE, use_id):
        part = min(left, row[f"{asset}_fen"])
        left -= part
        if part:
            anew = _given_anew(asked, use_id, grant_key(row["slice_id"], asset), asset, part)
            await _booked(use_id, await ledger.post_one(anew, now=now))
    ensure(left == 0, "a use took what it counts")


async def _booked(use_id: int, posted: Posted) -> None:
    """Kept by top-up, what the ledger gave back lot by lot."""
    await db.execute(_BACK, use_id, posted.entry_id)


def _given_anew(asked: Return, use_id: int, slice_key: str, asset: Asset, amount: int) -> Grant:
    return Grant(
        member_id=asked.member_id,
        asset=asset,
        amount=amount,
        key=f"{asked.return_key}:{slice_key}",
        grant_key=slice_key,
        kind=KIND_RETURN,
        occurred_at=asked.occurred_at,
        source=Account.SPENT,
        promotional=asset == Asset.BONUS,
        reason={"stored_use_id": use_id},
    )
