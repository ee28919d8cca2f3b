"""Somebody proves a phone number that another member holds.

Numbers change hands (二次放号), so proof of a number is not proof of an account: after a cooling-off, in which
the holder is told where they have always been reached and can object, the number moves, and nothing else does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loyalty import db, vault
from loyalty.errors import Conflict, NotFound
from loyalty.members import service as members
from loyalty.members.service import VerifiedPhone
from loyalty.outbox import service as outbox

COOLING_OFF: Final = timedelta(hours=72)

_CLAIM: Final = """
INSERT INTO phone_claim (member_id, holder_id, phone_index, phone_sealed, status, requested_at, effective_at)
VALUES ($1, $2, $3, $4, 'waiting', $5, $6)
ON CONFLICT (phone_index) WHERE status = 'waiting' DO NOTHING
RETURNING id
"""
_DUE: Final = """
SELECT id, member_id, holder_id, phone_index, phone_sealed FROM phone_claim
WHERE status = 'waiting' AND effective_at <= $1 ORDER BY effective_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
"""


class PhoneFree(Conflict):
    """Nobody else holds the number: it can simply be bound."""

    code = "phone_claim.phone_free"


class ClaimUnderWay(Conflict):
    """The number is claimed already, by this member or another."""

    code = "phone_claim.under_way"


class ClaimUnknown(NotFound):
    """No such claim waits for this member's answer."""

    code = "phone_claim.unknown"


@dataclass(frozen=True, slots=True)
class PendingClaim:
    """The number moves at `effective_at` unless its holder objects."""

    id: int
    effective_at: datetime


async def claim(member_id: int, phone: VerifiedPhone, *, now: datetime) -> PendingClaim:
    """Ask for a number that was proven and that another member holds; the holder is told at once.

    Raises:
        PhoneFree, ClaimUnderWay.
        MemberGone: the claimant's account is closed.
    """
    index = members.phone_index(phone.number)
    holder_id = await db.fetch_value("SELECT id FROM member WHERE phone_index = $1", index)
    if holder_id is None or holder_id == member_id:
        raise PhoneFree
    sealed = vault.seal(phone.number.encode(), context=_context(member_id), key=await members.data_key(member_id))
    effective_at = now + COOLING_OFF
    claim_id = await db.fetch_value(_CLAIM, member_id, holder_id, index, sealed, now, effective_at)
    if claim_id is None:
        raise ClaimUnderWay
    await _tell(holder_id, "phone_claimed", claim_id, due_at=now, give_up_at=effective_at)
    return PendingClaim(claim_id, effective_at)


async def object_to(claim_id: int, holder_id: int, *, now: datetime) -> None:
    """The holder still has the number: it stays theirs.

    Raises:
        ClaimUnknown: not this member's to answer, or settled already.
    """
    refused = await db.execute(
        "UPDATE phone_claim SET status = 'refused', finished_at = $3, phone_sealed = NULL"
        " WHERE id = $1 AND holder_id = $2 AND status = 'waiting'",
        claim_id,
        holder_id,
        now,
    )
    if not refused:
        raise ClaimUnknown


async def settle_due(*, now: datetime, batch_max: int) -> int:
    """Move the numbers whose cooling-off is over, at most `batch_max`; how many claims were settled."""
    rows = await db.fetch(_DUE, now, batch_max)
    for row in rows:
        moved = await _move(row, now=now)
        await db.execute(
            "UPDATE phone_claim SET status = $2, finished_at = $3, phone_sealed = NULL WHERE id = $1",
            row["id"],
            "moved" if moved else "refused",
            now,
        )
    return len(rows)


async def _move(row: db.Row, *, now: datetime) -> bool:
    """False when the claimant left meanwhile."""
    try:
        # A claimant who is gone must not cost the holder their number.
        async with db.attempt():
            key = await members.data_key(row["member_id"])
            number = vault.unseal(row["phone_sealed"], context=_context(row["member_id"]), key=key).decode()
            holds = await db.fetch_value("SELECT id FROM member WHERE phone_index = $1 FOR UPDATE", row["phone_index"])
            if holds is not None and holds != row["member_id"]:
                await members.release_phone(holds)
            await members.bind_phone(row["member_id"], VerifiedPhone(number, "sms"), now=now)
    except members.MemberGone:
        return False
    give_up_at = now + COOLING_OFF
    await _tell(row["member_id"], "phone_moved", row["id"], due_at=now, give_up_at=give_up_at)
    return True


async def _tell(member_id: int, notice: str, claim_id: int, *, due_at: datetime, give_up_at: datetime) -> None:
    message = outbox.Notice(
        key=f"{notice}:{claim_id}",
        notice=notice,
        send_class="service_notice",
        purpose=outbox.TRANSACTION,
        member_id=member_id,
        params={"claim_id": claim_id},
        due_at=due_at,
        give_up_at=give_up_at,
    )
    await outbox.queue(message, now=due_at)


def _context(member_id: int) -> str:
    return f"phone_claim.phone_sealed:{member_id}"
