"""Stored value (储值): topped up, used, given back, frozen. Whatever changes a member's stored value holds the row of
their account first, so that what is read below stays true until the unit of work ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import access, db
from loyalty.access import Action, Principal, Resource, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.errors import Conflict, Forbidden, Invalid, ensure, unreachable
from loyalty.events import StoredValueAdded, StoredValueUsed
from loyalty.ledger import service as ledger
from loyalty.ledger.operations import Asset, Grant, Operation, Spend
from loyalty.ledger.outcomes import Posted
from loyalty.members import queries as members
from loyalty.money import split
from loyalty.program import queries as program
from loyalty.program.terms import StoredValueTerms
from loyalty.spine import service as spine
from loyalty.stored_value.queries import COLUMNS, SliceView, Wallet, by_key, grant_key, wallet

KIND_TOP_UP: Final = "top_up"
KIND_BONUS: Final = "top_up_bonus"
KIND_USE: Final = "stored_use"
HALVES: Final = (Asset.PRINCIPAL, Asset.BONUS)

_LOCK: Final = """
INSERT INTO stored_account AS mine (member_id) VALUES ($1)
ON CONFLICT (member_id) DO UPDATE SET member_id = mine.member_id RETURNING frozen_at
"""
_INSERT: Final = f"""
INSERT INTO stored_slice (member_id, key, source, paid_fen, bonus_fen, evidence, terms_version, store_id, staff_id,
                          status, paid_at, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, 'open', $10, $11)
ON CONFLICT (key) DO NOTHING RETURNING {COLUMNS}
"""
_USE: Final = """
INSERT INTO stored_use (member_id, key, amount_fen, list_fen, occurred_at) VALUES ($1, $2, $3, $4, $5) RETURNING id
"""
_TAKEN: Final = """
INSERT INTO stored_part (use_id, slice_id, principal_fen, bonus_fen)
SELECT $1, split_part(lot.grant_key, ':', 2)::bigint AS slice_id,
       coalesce(sum(posting.amount) FILTER (WHERE posting.asset = 'principal'), 0),
       coalesce(sum(posting.amount) FILTER (WHERE posting.asset = 'bonus'), 0)
FROM ledger_posting posting JOIN ledger_lot lot ON lot.id = posting.lot_id
WHERE posting.entry_id = ANY($2) AND posting.destination = 'spent'
GROUP BY slice_id ORDER BY slice_id
"""
_FREEZE: Final = """
INSERT INTO stored_account (member_id, frozen_at, frozen_by, frozen_reason) VALUES ($1, $2, $3, $4)
ON CONFLICT (member_id) DO UPDATE SET frozen_at = coalesce(stored_account.frozen_at, excluded.frozen_at),
    frozen_by = coalesce(stored_account.frozen_by, excluded.frozen_by),
    frozen_reason = coalesce(stored_account.frozen_reason, excluded.frozen_reason)
"""


class TopUpsClosed(Conflict):
    """The programme takes no top-ups now; what is stored can be used and paid out as ever."""

    code = "stored_value.closed"


class TopUpTooSmall(Invalid):
    """Less than `least_fen`."""

    code = "stored_value.too_small"


class TopUpTooLarge(Conflict):
    """More would be stored than is allowed: `most_fen` in all, of which `has_fen` is stored."""

    code = "stored_value.too_large"


class PhoneNeeded(Conflict):
    """Above `most_fen` stored value is in a name: prove a phone number first (商务部令2012年第9号)."""

    code = "stored_value.phone_needed"


class TopUpKeyReused(Conflict):
    """The receipt was used for another top-up."""

    code = "stored_value.key_reused"


class StoredValueFrozen(Conflict):
    """The member's stored value is frozen: it stays theirs and pays nothing until it is free again."""

    code = "stored_value.frozen"


class StoredValueShort(Conflict):
    """`has_fen` is stored, `needs_fen` is to be paid."""

    code = "stored_value.short"


class PermitNeeded(Forbidden):
    """Above `above_fen` the member agrees first, by PIN or by the code on their screen."""

    code = "stored_value.permit_needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """Money that was paid in. `key` names the receipt; `evidence` is kept with the slice for ever."""

    member_id: int
    paid_fen: int
    key: str
    source: str
    paid_at: datetime
    evidence: Mapping[str, Any] = field(default_factory=dict)
    store_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A purchase, of which `amount_fen` is paid with stored value. `list_fen` is what that part cost before
    discounts; `permit_key` is what the member's yes to a larger payment was given for."""

    member_id: int
    key: str
    amount_fen: int
    list_fen: int
    permit_key: str
    occurred_at: datetime


async def check_top_up(member_id: int, paid_fen: int, *, now: datetime) -> int:
    """The bonus that paying `paid_fen` in would bring. To be asked before any money is taken.

    Raises:
        TopUpsClosed, TopUpTooSmall, TopUpTooLarge, PhoneNeeded, StoredValueFrozen
        MemberGone
    """
    terms = (await program.in_force(now)).terms.stored_value
    if not terms.enabled or not terms.accepts_top_ups:
        raise TopUpsClosed
    if paid_fen < terms.least_fen:
        raise TopUpTooSmall(least_fen=terms.least_fen)
    has = await wallet(member_id, at=now)
    if has.is_frozen:
        raise StoredValueFrozen
    card = await members.card(member_id, at=now)
    after = has.principal_fen + paid_fen
    if after > terms.most_fen:
        raise TopUpTooLarge(most_fen=terms.most_fen, has_fen=has.principal_fen)
    if card.phone_masked is None and after > terms.nameless_most_fen:
        raise PhoneNeeded(most_fen=terms.nameless_most_fen)
    return terms.bonus_for(paid_fen)


async def top_up(new: TopUp, *, principal: Principal, now: datetime) -> SliceView:
    """Money taken at a counter or till. The same receipt again is the same top-up.

    Raises:
        whatever `check_top_up` refuses, TopUpKeyReused
        Forbidden, OwnMembership: the principal may not take it.
    """
    resource = Resource(store_id=new.store_id, member_id=new.member_id)
    access.authorize_alone(principal, Action.STORED_VALUE_TOP_UP, resource)
    await _lock(new.member_id)
    known = await by_key(new.key)
    if known is None:
        await check_top_up(new.member_id, new.paid_fen, now=now)
    done = await credit(new, staff_id=principal.staff_id if isinstance(principal, StaffPrincipal) else None, now=now)
    if known is None and isinstance(principal, StaffPrincipal):
        deed = audit.Deed(
            principal=principal,
            action=Action.STORED_VALUE_TOP_UP,
            member_id=new.member_id,
            store_id=new.store_id,
            details={"slice_id": done.id, "paid_fen": new.paid_fen, "bonus_fen": done.bonus_fen},
        )
        await audit.record(deed, now=now)
    return done


async def credit(new: TopUp, *, staff_id: int | None = None, now: datetime) -> SliceView:
    """Store money that was paid; it is never refused, because it has been taken. Each receipt counts once.

    Raises:
        TopUpKeyReused
    """
    await _lock(new.member_id)
    published = await program.in_force(now)
    bonus = published.terms.stored_value.bonus_for(new.paid_fen)
    row = await db.fetch_one(
        _INSERT,
        new.member_id,
        new.key,
        new.source,
        new.paid_fen,
        bonus,
        orjson.dumps(dict(new.evidence)).decode(),
        published.version,
        new.store_id,
        staff_id,
        new.paid_at,
        now,
    )
    if row is None:
        return await _known(new)
    await _grant(row["id"], new, bonus, now)
    done = await by_key(new.key)
    if done is None:
        unreachable("the slice was written just now")
    return done


async def use(asked: Use, *, now: datetime) -> None:
    """Pay with stored value: of principal and bonus in the proportion in which the member has them.

    Raises:
        StoredValueFrozen, StoredValueShort, PermitNeeded
    """
    if await _lock(asked.member_id):
        raise StoredValueFrozen
    terms = (await program.in_force(now)).terms.stored_value
    has = await wallet(asked.member_id, at=now)
    if has.total_fen < asked.amount_fen:
        raise StoredValueShort(has_fen=has.total_fen, needs_fen=asked.amount_fen)
    if asked.amount_fen > terms.permit_above_fen:
        await _take_permit(asked, terms, now)
    use_id = await db.fetch_value(
        _USE, asked.member_id, asked.key, asked.amount_fen, max(asked.list_fen, asked.amount_fen), asked.occurred_at
    )
    outcomes = await ledger.post(_spends(asked, use_id, has), now=now)
    entries = [outcome.entry_id for outcome in outcomes if isinstance(outcome, Posted)]
    ensure(len(entries) == len(outcomes), "the account is locked, and what it has was read")
    # Kept by top-up, what the ledger took lot by lot.
    await db.execute(_TAKEN, use_id, entries)
    event = StoredValueUsed(member_id=asked.member_id, at=asked.occurred_at, amount_fen=asked.amount_fen, key=asked.key)
    await spine.record(event, now=now)


async def freeze(member_id: int, *, reason: str, principal: StaffPrincipal, now: datetime) -> None:
    """Let the member's stored value pay nothing until it is free again (a lost phone, a dispute). Again: nothing.

    Raises:
        Forbidden, OwnMembership
    """
    resource = Resource(store_id=principal.store_id, member_id=member_id)
    access.authorize_alone(principal, Action.STORED_VALUE_FREEZE, resource)
    await db.execute(_FREEZE, member_id, now, f"staff:{principal.staff_id}", reason)
    await _note(principal, "stored_value.freeze", member_id, reason, now)


async def unfreeze(member_id: int, *, reason: str, principal: StaffPrincipal, now: datetime) -> None:
    """Free it again.

    Raises:
        Forbidden, OwnMembership
    """
    resource = Resource(store_id=principal.store_id, member_id=member_id)
    access.authorize_alone(principal, Action.STORED_VALUE_FREEZE, resource)
    await db.execute(
        "UPDATE stored_account SET frozen_at = NULL, frozen_by = NULL, frozen_reason = NULL WHERE member_id = $1",
        member_id,
    )
    await _note(principal, "stored_value.unfreeze", member_id, reason, now)


async def lock(member_id: int) -> bool:
    """Hold the member's stored value until the unit of work ends; whether it is frozen."""
    return await _lock(member_id)


async def _lock(member_id: int) -> bool:
    return await db.fetch_value(_LOCK, member_id) is not None


async def _known(new: TopUp) -> SliceView:
    known = await by_key(new.key)
    if known is None:
        unreachable("slices are never removed")
    if known.paid_fen != new.paid_fen:
        raise TopUpKeyReused(key=new.key)
    return known


async def _grant(slice_id: int, new: TopUp, bonus_fen: int, now: datetime) -> None:
    await ledger.open_accounts([new.member_id], now=now)
    halves = ((Asset.PRINCIPAL, new.paid_fen, KIND_TOP_UP), (Asset.BONUS, bonus_fen, KIND_BONUS))
    operations: list[Operation] = [
        Grant(
            member_id=new.member_id,
            asset=asset,
            amount=amount,
            key=grant_key(slice_id, asset),
            kind=kind,
            occurred_at=new.paid_at,
            promotional=asset == Asset.BONUS,
            reason={"stored_slice_id": slice_id},
        )
        for asset, amount, kind in halves
        if amount
    ]
    for outcome in await ledger.post(operations, now=now):
        ensure(isinstance(outcome, Posted), "a slice is granted once")
    event = StoredValueAdded(
        member_id=new.member_id, at=new.paid_at, slice_id=slice_id, paid_fen=new.paid_fen, bonus_fen=bonus_fen
    )
    await spine.record(event, now=now)


def _spends(asked: Use, use_id: int, has: Wallet) -> list[Operation]:
    parts = split(asked.amount_fen, [has.principal_fen, has.bonus_fen])
    return [
        Spend(
            member_id=asked.member_id,
            asset=asset,
            amount=part,
            key=f"{asked.key}:{asset}",
            kind=KIND_USE,
            occurred_at=asked.occurred_at,
            reason={"stored_use_id": use_id},
        )
        for asset, part in zip(HALVES, parts, strict=True)
        if part
    ]


async def _take_permit(asked: Use, terms: StoredValueTerms, now: datetime) -> None:
    taken = await db.execute(
        "DELETE FROM stored_permit WHERE key = $1 AND member_id = $2 AND amount_fen >= $3 AND expires_at > $4",
        asked.permit_key,
        asked.member_id,
        asked.amount_fen,
        now,
    )
    if not taken:
        raise PermitNeeded(above_fen=terms.permit_above_fen)


async def _note(principal: StaffPrincipal, action: str, member_id: int, reason: str, now: datetime) -> None:
    deed = audit.Deed(
        principal=principal, action=action, member_id=member_id, store_id=principal.store_id, details={"reason": reason}
    )
    await audit.record(deed, now=now)
