"""Refunds by people: rehearsed before they are confirmed, at once within a limit, above it by another's approval.

A rehearsal is the refund itself, undone: what it shows is what will happen, whatever rules and policies say. Whoever
confirms names the money that they saw; when something changed meanwhile, nothing happens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import orjson

from loyalty import access, db
from loyalty.access import Action, Limit, OtherStore, Resource, StaffPrincipal
from loyalty.allowances import service as allowances
from loyalty.approvals import service as approvals
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import ApprovalUnknown
from loyalty.audit import service as audit
from loyalty.clock import business_day
from loyalty.errors import Conflict, Invalid, unreachable
from loyalty.program import queries as program
from loyalty.program.terms import Terms
from loyalty.purchases import queries as purchases
from loyalty.purchases.queries import PurchaseView
from loyalty.refunds import queries as refunds_read
from loyalty.refunds import service as refunds
from loyalty.refunds.queries import RefundView
from loyalty.refunds.rules import Method
from loyalty.refunds.service import NewRefund, PurchaseUnknown, RefundTooLarge
from loyalty.staff_refunds import rules
from loyalty.staff_refunds.rules import DiscountFate

KIND: Final = "refund"
SOURCE: Final = "desk"
REASON_LENGTH_MAX: Final = 200
KEY_LENGTH_MAX: Final = 80

Status = Literal["posted", "pending", "refused", "expired"]

_RESERVE: Final = """
INSERT INTO refund_request (staff_id, key, member_id, purchase_id, store_id, document, money_fen, reason, day, status,
                            created_at)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, 'pending', $10)
ON CONFLICT (staff_id, key) DO NOTHING RETURNING id
"""
_KNOWN: Final = """
SELECT q.id, q.purchase_id, q.document, q.money_fen, q.reason, q.status, q.refund_id,
       (SELECT public_id FROM approval a WHERE a.id = q.approval_id) AS approval_id
FROM refund_request q WHERE q.staff_id = $1 AND q.key = $2
"""
_WAITING: Final = """
SELECT q.id, q.member_id, q.created_at FROM refund_request q JOIN approval a ON a.id = q.approval_id
WHERE a.public_id = $1
"""


class ReturnInvalid(Invalid):
    """A value of the request is out of range; `field` names it."""

    code = "staff_refunds.invalid"


class ReturnKeyReused(Conflict):
    """The same person used this key for another refund."""

    code = "staff_refunds.key_reused"


class QuoteChanged(Conflict):
    """It would come to other money than was shown: `shown_fen`, `money_fen` now. Look at it again."""

    code = "staff_refunds.quote_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """What comes back of a purchase: pieces by line number, or `amount_fen` of its price; nothing said is all that is
    left."""

    purchase_id: int
    amount_fen: int | None = None
    lines: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReturn:
    """A refund that somebody confirms: by which method, for the money that they were shown, and why."""

    goods: Goods
    method: Method
    money_fen: int
    reason: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a refund would do by one method; `needs_another`: it goes beyond what the one who asks does alone."""

    done: RefundView
    discounts: tuple[DiscountFate, ...]
    needs_another: bool

    @property
    def method(self) -> str:
        """By which method."""
        return self.done.method


@dataclass(frozen=True, slots=True)
class Returned:
    """What became of a refund: `posted` with its figures, or `pending` until another person decides."""

    status: Status
    money_fen: int
    refund: RefundView | None = None
    approval: str | None = None
    replayed: bool = False


class _Undone(Exception):
    """Ends a rehearsal."""


async def preview(goods: Goods, *, principal: StaffPrincipal, now: datetime) -> list[Preview]:
    """What a refund would come to by each method, that of the terms first. Nothing of it stays.

    Raises:
        PurchaseUnknown, RefundTooLarge, RefundTooLate, LineUnknown, LineReturned, RefundInvalid
        Forbidden, OwnMembership
    """
    terms = (await program.in_force(now)).terms
    purchase, limit = await _purchase(goods.purchase_id, principal, terms)
    chosen: Method = terms.refunds.method
    other: Method = "proportional" if chosen == "readjudicate" else "readjudicate"
    return [await _rehearsed(goods, purchase, method, principal, limit, now) for method in (chosen, other)]


async def refund(new: NewReturn, *, principal: StaffPrincipal, key: str, now: datetime) -> Returned:
    """Refund at once within the principal's limits per refund and day, or ask another person.

    The same key of the same principal refunds once and answers the same.

    Raises:
        QuoteChanged, ReturnInvalid, ReturnKeyReused
        PurchaseUnknown, RefundTooLarge, RefundTooLate, LineUnknown, LineReturned, RefundInvalid
        Forbidden, OwnMembership
    """
    _check(new, key)
    terms = (await program.in_force(now)).terms
    purchase, limit = await _purchase(new.goods.purchase_id, principal, terms)
    day = business_day(now, terms.calendar)
    request_id = await db.fetch_value(
        _RESERVE,
        principal.staff_id,
        key,
        purchase.member_id,
        purchase.id,
        purchase.store_id,
        orjson.dumps(_document(new)).decode(),
        new.money_fen,
        new.reason,
        day,
        now,
    )
    if request_id is None:
        return await _repeat(new, principal, key)
    if await allowances.exceeds(principal.staff_id, day, Action.PURCHASE_REFUND, new.money_fen, limit):
        return await _ask(request_id, new, purchase, principal, terms, now)
    done = await _carry_out(request_id, _document(new), purchase, now, principal=principal, now=now)
    return Returned("posted", done.money_fen, done)


async def decide(approval_id: str, principal: StaffPrincipal, *, approve: bool, now: datetime) -> ApprovalView:
    """Approve or refuse a refund that waits; an approved one happens as it was asked for, or not at all.

    Raises:
        ApprovalUnknown, AlreadyDecided, ApprovalExpired, PayloadChanged
        QuoteChanged, RefundTooLarge, LineReturned: other goods of the purchase came back meanwhile.
        Forbidden, OwnRequest, OwnMembership: the principal may not decide this one.
    """
    waiting = await db.fetch_one(_WAITING, approval_id)
    if waiting is None:
        raise ApprovalUnknown
    decided = await approvals.settle(
        approval_id, principal, approve=approve, beneficiary_id=waiting["member_id"], now=now
    )
    if not approve:
        await close(decided, "refused")
        return decided
    purchase = await purchases.by_id(decided.payload["purchase_id"])
    if purchase is None:
        unreachable("purchases are never removed")
    await _carry_out(waiting["id"], decided.payload, purchase, waiting["created_at"], principal=principal, now=now)
    return decided


async def close(approval: ApprovalView, status: str) -> None:
    """Note on a request that it will not happen, and give its money back to the day's limit."""
    row = await db.fetch_one(
        "UPDATE refund_request SET status = $2 WHERE approval_id = $1 AND status = 'pending'"
        " RETURNING staff_id, day, money_fen",
        approval.id,
        status,
    )
    if row is None:
        unreachable("an open approval has a pending request")
    await allowances.give_back(row["staff_id"], row["day"], Action.PURCHASE_REFUND, row["money_fen"])


async def _purchase(purchase_id: int, principal: StaffPrincipal, terms: Terms) -> tuple[PurchaseView, Limit]:
    found = await purchases.by_id(purchase_id)
    if found is None:
        raise PurchaseUnknown
    resource = Resource(store_id=found.store_id, member_id=found.member_id)
    try:
        limit = access.authorize(principal, Action.PURCHASE_REFUND, resource, limits=terms.staff).limit
    except OtherStore:
        raise PurchaseUnknown from None
    return found, limit or unreachable("whoever may refund has a limit")


async def _rehearsed(
    goods: Goods, purchase: PurchaseView, method: Method, principal: StaffPrincipal, limit: Limit, now: datetime
) -> Preview:
    new = _new(f"preview:{method}", goods, purchase, method, now)
    done = await _undone(new, principal, now)
    gone = {**goods.lines}
    before = refunds_read.together(await refunds_read.refunds_of(purchase.id))
    for no, pieces in (before.lines or {}).items():
        gone[no] = gone.get(no, 0) + pieces
    is_whole = before.amount_fen + done.amount_fen == purchase.amount_fen
    fates = rules.fates(purchase.receipt, gone, method=method, is_whole=is_whole)
    return Preview(done, fates, done.money_fen > limit.per_grant)


async def _undone(new: NewRefund, principal: StaffPrincipal, now: datetime) -> RefundView:
    rehearsed: list[RefundView] = []
    try:
        async with db.attempt():
            rehearsed.append(await refunds.refund(new, principal=principal, now=now))
            raise _Undone
    except _Undone:
        return rehearsed[0]


def _new(number: str, goods: Goods, purchase: PurchaseView, method: Method, occurred_at: datetime) -> NewRefund:
    all_of_it = goods.amount_fen is None and not goods.lines
    if all_of_it and purchase.refunded_fen == purchase.amount_fen:
        raise RefundTooLarge(left_fen=0)
    return NewRefund(
        source=SOURCE,
        external_id=number,
        purchase_source=purchase.source,
        purchase_external_id=purchase.external_id,
        occurred_at=occurred_at,
        amount_fen=purchase.amount_fen - purchase.refunded_fen if all_of_it else goods.amount_fen,
        lines=goods.lines,
        method=method,
    )


def _check(new: NewReturn, key: str) -> None:
    in_range = {
        "money_fen": new.money_fen >= 0,
        "reason": len(new.reason.strip()) > 0 and len(new.reason) <= REASON_LENGTH_MAX,
        "key": 0 < len(key) <= KEY_LENGTH_MAX,
    }
    for name, holds in in_range.items():
        if not holds:
            raise ReturnInvalid(field=name)


def _document(new: NewReturn) -> dict[str, Any]:
    return {
        "purchase_id": new.goods.purchase_id,
        "amount_fen": new.goods.amount_fen,
        "lines": {str(no): pieces for no, pieces in sorted(new.goods.lines.items())},
        "method": new.method,
        "money_fen": new.money_fen,
        "reason": new.reason,
    }


async def _repeat(new: NewReturn, principal: StaffPrincipal, key: str) -> Returned:
    row = await db.fetch_one(_KNOWN, principal.staff_id, key)
    if row is None:
        unreachable("requests are never removed")
    if orjson.loads(row["document"]) != _document(new):
        raise ReturnKeyReused(key=key)
    known = {one.id: one for one in await refunds_read.refunds_of(row["purchase_id"])}
    return Returned(row["status"], row["money_fen"], known.get(row["refund_id"]), row["approval_id"], replayed=True)


async def _ask(
    request_id: int, new: NewReturn, purchase: PurchaseView, principal: StaffPrincipal, terms: Terms, now: datetime
) -> Returned:
    # Whoever is asked sees only what could happen now.
    foreseen = await _undone(_new(f"{request_id}", new.goods, purchase, new.method, now), principal, now)
    _same(foreseen, new.money_fen)
    request = approvals.Request(
        kind=KIND,
        payload={**_document(new), "amount_fen": foreseen.amount_fen, "receipt": purchase.external_id},
        amount=new.money_fen,
        member_id=purchase.member_id,
        store_id=purchase.store_id if purchase.store_id is not None else principal.store_id,
        expires_at=now + timedelta(hours=terms.staff.approval_hours),
    )
    asked = await approvals.ask(request, principal, now=now)
    await db.execute("UPDATE refund_request SET approval_id = $2 WHERE id = $1", request_id, asked.id)
    deed = audit.Deed(
        principal=principal,
        action=Action.PURCHASE_REFUND,
        outcome="asked",
        member_id=purchase.member_id,
        store_id=purchase.store_id,
        reason=new.reason,
        details={"request_id": request_id, "purchase_id": purchase.id, "money_fen": new.money_fen},
    )
    await audit.record(deed, now=now)
    return Returned("pending", new.money_fen, approval=asked.public_id)


async def _carry_out(
    request_id: int,
    document: Mapping[str, Any],
    purchase: PurchaseView,
    occurred_at: datetime,
    *,
    principal: StaffPrincipal,
    now: datetime,
) -> RefundView:
    lines = {int(no): pieces for no, pieces in document["lines"].items()}
    goods = Goods(purchase_id=purchase.id, amount_fen=document["amount_fen"], lines=lines)
    new = _new(f"{request_id}", goods, purchase, document["method"], occurred_at)
    done = await refunds.refund(new, principal=principal, now=now)
    _same(done, document["money_fen"])
    await db.execute(
        "UPDATE refund_request SET status = 'posted', refund_id = $2 WHERE id = $1 AND status = 'pending'",
        request_id,
        done.id,
    )
    return done


def _same(done: RefundView, shown_fen: int) -> None:
    if done.money_fen != shown_fen:
        raise QuoteChanged(shown_fen=shown_fen, money_fen=done.money_fen)
