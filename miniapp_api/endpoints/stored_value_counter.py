"""Stored value at the counter and the till: top-ups in cash, permits, payouts, freezing, and finance's quarter."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from loyalty import clock
from loyalty.access import Action, PartnerPrincipal, StaffPrincipal
from loyalty.attempts.service import TooManyMisses
from loyalty.counter import service as counter
from loyalty.errors import Invalid, NotFound
from loyalty.member_codes.service import WrongMemberCode
from loyalty.members.service import MemberGone
from loyalty.program import queries as program
from loyalty.purchases.tendering import permit_key
from loyalty.stored_value import payouts, permits
from loyalty.stored_value import queries as stored_read
from loyalty.stored_value import service as stored_value
from loyalty.stored_value.payouts import (
    AlreadyPaidOut,
    Asked,
    PayoutInvalid,
    SliceUnknown,
    Waiting,
    WithdrawalOver,
)
from loyalty.stored_value.permits import Permit, PinMissing, PinWrong
from loyalty.stored_value.rules import Cause
from loyalty.stored_value.service import TopUp, TopUpKeyReused
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Query, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import ExternalId, Fen
from miniapp_api.endpoints.sales import source_of
from miniapp_api.endpoints.stored_value import (
    LOOKING_UP,
    PayoutCalculation,
    PayoutPreview,
    Pin,
    StoredValue,
    TopUpView,
    shown,
    top_up_of,
    view_of,
)
from miniapp_api.public_ids import Kind, PublicId, row_id

Server = StaffPrincipal | PartnerPrincipal
Reason = Annotated[str, Field(min_length=1, max_length=200)]


class CashTopUp(Body):
    """Money taken at the counter; `receipt` is the till's or the clerk's own number of it."""

    member: UUID
    paid_fen: Annotated[Fen, Field(ge=1)]
    receipt: ExternalId
    method: Literal["cash", "card", "transfer", "wechat", "alipay"] = "cash"
    occurred_at: AwareDatetime | None = None


class AskingPermit(Body):
    """The member's yes to paying up to `amount_fen` of an order: their PIN, or the code on their screen."""

    member: UUID
    order: ExternalId
    amount_fen: Annotated[Fen, Field(ge=1)]
    pin: Pin | None = None
    code: Annotated[str, Field(min_length=6, max_length=40)] | None = None


class PayingOut(Body):
    """Whose reason it is that a top-up goes back, and since when its contract has ended (today unless given)."""

    member: UUID
    top_up: PublicId
    cause: Literal["merchant", "consumer", "withdrawal"]
    reason: Reason
    ended_on: date | None = None


class Freezing(Body):
    """Freeze or free a member's stored value, and why."""

    member: UUID
    frozen: bool
    reason: Reason


class QuarterQuery(Query):
    """Which quarter."""

    year: Annotated[int, Field(ge=2020, le=2100)]
    quarter: Annotated[int, Field(ge=1, le=4)]


class PermitAsksOneThing(Invalid):
    """A permit is given by a PIN or by a code: exactly one of them."""

    code = "stored_value.permit_invalid"


@dataclass(frozen=True, slots=True)
class Permitted:
    """The member agreed."""

    amount_fen: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PayoutDone:
    """`done`: hand the money over now. `waiting`: another person decides the request `approval` first."""

    status: Literal["done", "waiting"]
    calculation: PayoutCalculation
    approval: str | None


@dataclass(frozen=True, slots=True)
class QuarterReport:
    """The quarterly report of a single-purpose prepaid card, in fen (商务部令2012年第9号)."""

    begins: date
    ends: date
    top_ups: int
    paid_fen: int
    bonus_fen: int
    used_principal_fen: int
    used_bonus_fen: int
    payouts: int
    paid_out_fen: int
    closing_principal_fen: int
    closing_bonus_fen: int
    deposit_fen: int


async def top_up_at_counter(call: Call[CashTopUp, NoQuery]) -> TopUpView:
    """A clerk took money: store it."""
    return await _top_up(call, call.staff)


async def top_up_at_till(call: Call[CashTopUp, NoQuery]) -> TopUpView:
    """A till took money: store it."""
    return await _top_up(call, call.partner)


async def _top_up(call: Call[CashTopUp, NoQuery], server: Server) -> TopUpView:
    paid = call.body
    card = await counter.recall(paid.member, server=server, action=Action.STORED_VALUE_TOP_UP, now=call.now)
    whose = source_of(server) if isinstance(server, PartnerPrincipal) else f"staff:{server.staff_id}"
    new = TopUp(
        member_id=card.id,
        paid_fen=paid.paid_fen,
        key=f"{whose}:{paid.receipt}",
        source=paid.method,
        paid_at=paid.occurred_at or call.now,
        evidence={"receipt": paid.receipt, "by": whose},
        store_id=server.store_id,
    )
    return top_up_of(await stored_value.top_up(new, principal=server, now=call.now))


async def read_at_counter(call: Call[NoBody, NoQuery]) -> StoredValue:
    """A member's stored value, for the clerk who serves them."""
    return await _read(call, call.staff)


async def read_at_till(call: Call[NoBody, NoQuery]) -> StoredValue:
    """A member's stored value, for the till that serves them."""
    return await _read(call, call.partner)


async def _read(call: Call[NoBody, NoQuery], server: Server) -> StoredValue:
    card = await counter.recall(_member(call), server=server, action=Action.STORED_VALUE_READ, now=call.now)
    return await view_of(card.id, call.now)


async def permit(call: Call[AskingPermit, NoQuery]) -> Permitted | PinWrong | WrongMemberCode:
    """The member agrees to a larger payment."""
    server, asked = call.partner, call.body
    card = await counter.recall(asked.member, server=server, action=Action.PURCHASE_RECORD, now=call.now)
    key = permit_key(source_of(server), asked.order)
    given: Permit | PinWrong | WrongMemberCode
    if asked.pin is not None and asked.code is None:
        given = await permits.permit_by_pin(card.id, key, asked.amount_fen, asked.pin, server=server, now=call.now)
    elif asked.code is not None and asked.pin is None:
        given = await permits.permit_by_code(card.id, key, asked.amount_fen, asked.code, server=server, now=call.now)
    else:
        raise PermitAsksOneThing
    return Permitted(given.amount_fen, given.expires_at) if isinstance(given, Permit) else given


async def preview_for_staff(call: Call[NoBody, NoQuery]) -> PayoutPreview:
    """What would go back of a member's top-up."""
    card = await counter.recall(_member(call), server=call.staff, action=Action.STORED_VALUE_PAY_OUT, now=call.now)
    found = await payouts.preview(row_id(Kind.TOP_UP, call.path["top_up"]), card.id, now=call.now)
    return PayoutPreview(call.path["top_up"], tuple(shown(one) for one in found))


async def pay_out(call: Call[PayingOut, NoQuery]) -> PayoutDone:
    """Pay a top-up out, or ask another person."""
    wanted = call.body
    card = await counter.recall(wanted.member, server=call.staff, action=Action.STORED_VALUE_PAY_OUT, now=call.now)
    asked = Asked(
        slice_id=row_id(Kind.TOP_UP, wanted.top_up),
        cause=Cause(wanted.cause),
        reason=wanted.reason,
        ended_on=wanted.ended_on,
    )
    done = await payouts.pay_out(asked, card.id, principal=call.staff, now=call.now)
    if isinstance(done, Waiting):
        return PayoutDone("waiting", shown(done.calculation), done.approval_id)
    return PayoutDone("done", shown(done.calculation), None)


async def freeze(call: Call[Freezing, NoQuery]) -> StoredValue:
    """Freeze or free."""
    asked = call.body
    card = await counter.recall(asked.member, server=call.staff, action=Action.STORED_VALUE_FREEZE, now=call.now)
    act = stored_value.freeze if asked.frozen else stored_value.unfreeze
    await act(card.id, reason=asked.reason, principal=call.staff, now=call.now)
    return await view_of(card.id, call.now)


async def read_quarter(call: Call[NoBody, QuarterQuery]) -> QuarterReport:
    """Money in, used, paid out, owed."""
    terms = (await program.in_force(call.now)).terms
    year, first = call.query.year, call.query.quarter * 3 - 2
    begins = clock.start_of(date(year, first, 1), terms.calendar)
    ends = clock.start_of(date(year + first // 10, (first + 2) % 12 + 1, 1), terms.calendar)
    found = await stored_read.quarter(begins, ends, terms=terms)
    return QuarterReport(**{name: getattr(found, name) for name in QuarterReport.__slots__})


def _member(call: Call[NoBody, NoQuery]) -> UUID:
    try:
        return UUID(call.path["member"])
    except ValueError:
        raise NotFound(what="member") from None


_AT_COUNTER = (MemberGone, TopUpKeyReused, *LOOKING_UP[:-1])
_OUT = (MemberGone, SliceUnknown, AlreadyPaidOut)

ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/staff/top-ups",
        run=top_up_at_counter,
        audience=Audience.STAFF,
        action=Action.STORED_VALUE_TOP_UP,
        body=CashTopUp,
        result=TopUpView,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=_AT_COUNTER,
        summary=Summary("柜台充值", "A top-up at the counter"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/top-ups",
        run=top_up_at_till,
        audience=Audience.PARTNER,
        action=Action.STORED_VALUE_TOP_UP,
        body=CashTopUp,
        result=TopUpView,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=_AT_COUNTER,
        summary=Summary("收银台充值", "A top-up at a till"),
    ),
    Endpoint(
        method="GET",
        path="/v1/staff/members/{member}/stored-value",
        run=read_at_counter,
        audience=Audience.STAFF,
        action=Action.STORED_VALUE_READ,
        result=StoredValue,
        refusals=(MemberGone,),
        summary=Summary("会员储值", "A member's stored value"),
    ),
    Endpoint(
        method="GET",
        path="/v1/partner/members/{member}/stored-value",
        run=read_at_till,
        audience=Audience.PARTNER,
        action=Action.STORED_VALUE_READ,
        result=StoredValue,
        refusals=(MemberGone,),
        summary=Summary("会员储值", "A member's stored value"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/stored-value/permits",
        run=permit,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=AskingPermit,
        result=Permitted,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.ONE_USE,
        refusals=(MemberGone, PermitAsksOneThing, PinMissing, PinWrong, WrongMemberCode, TooManyMisses),
        summary=Summary("大额支付：会员确认（密码或会员码）", "The member agrees to a larger payment"),
    ),
    Endpoint(
        method="GET",
        path="/v1/staff/members/{member}/stored-value/{top_up}/payout",
        run=preview_for_staff,
        audience=Audience.STAFF,
        action=Action.STORED_VALUE_PAY_OUT,
        result=PayoutPreview,
        refusals=_OUT,
        summary=Summary("退款试算（法释〔2025〕4号）", "What would go back, by law"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/payouts",
        run=pay_out,
        audience=Audience.STAFF,
        action=Action.STORED_VALUE_PAY_OUT,
        body=PayingOut,
        result=PayoutDone,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(*_OUT, WithdrawalOver, PayoutInvalid),
        summary=Summary("储值退款", "Pay stored value out"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/stored-value/freeze",
        run=freeze,
        audience=Audience.STAFF,
        action=Action.STORED_VALUE_FREEZE,
        body=Freezing,
        result=StoredValue,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(MemberGone,),
        summary=Summary("冻结或解冻储值", "Freeze or free stored value"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/stored-value/quarter",
        run=read_quarter,
        audience=Audience.CONSOLE,
        action=Action.LEDGER_READ,
        query=QuarterQuery,
        result=QuarterReport,
        summary=Summary("预付卡季度报表", "The quarterly report of stored value"),
    ),
)
