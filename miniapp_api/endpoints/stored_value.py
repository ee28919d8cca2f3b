"""Stored value (储值) for members: what is stored, topping up, what would come back, the PIN."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from bot.calls import CallFailed
from bot.wechat_pay.client import PLATFORM, PayRequest
from loyalty.access import Action
from loyalty.errors import Conflict, Unavailable
from loyalty.identity import queries as identity
from loyalty.members.service import MemberGone
from loyalty.payments import service as payments
from loyalty.payments.rules import State
from loyalty.payments.service import NewPayment, PaymentUnknown, PaymentView
from loyalty.program import queries as program
from loyalty.stored_value import payouts, permits
from loyalty.stored_value import queries as stored_read
from loyalty.stored_value import service as stored_value
from loyalty.stored_value.payouts import AlreadyPaidOut, SliceUnknown
from loyalty.stored_value.permits import PinWeak, PinWrong
from loyalty.stored_value.queries import SliceView, Wallet
from loyalty.stored_value.rules import Calculation
from loyalty.stored_value.service import PhoneNeeded, StoredValueFrozen, TopUpsClosed, TopUpTooLarge, TopUpTooSmall
from loyalty.takings.service import TOP_UP
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import Fen
from miniapp_api.public_ids import Kind, public_id, row_id

LOOKING_UP = (TopUpsClosed, TopUpTooSmall, TopUpTooLarge, PhoneNeeded, StoredValueFrozen, MemberGone)
Pin = Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["271828"])]


class NoPayAccount(Conflict):
    """No merchant account is configured for the app of the caller."""

    code = "payments.no_account"


class PayUnavailable(Unavailable):
    """The payment platform refused or did not answer; nothing was charged."""

    code = "payments.unavailable"


class ToppingUp(Body):
    """How much to pay in."""

    amount_fen: Annotated[Fen, Field(ge=1)]


class NewPin(Body):
    """The PIN for larger payments; `old` where there is one already."""

    pin: Pin
    old: Pin | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """Whoever pays `paid_fen` in gets `bonus_fen` on top."""

    paid_fen: int
    bonus_fen: int


@dataclass(frozen=True, slots=True)
class TopUpView:
    """One top-up; `left_fen` of paid and bonus together was not used yet."""

    id: str
    paid_fen: int
    bonus_fen: int
    left_fen: int
    source: str
    status: Literal["open", "paid_out"]
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class StoredValue:
    """What a member can pay with, and where it came from. `permit_above_fen`: payments above need a yes."""

    total_fen: int
    principal_fen: int
    bonus_fen: int
    frozen: bool
    has_pin: bool
    accepts_top_ups: bool
    permit_above_fen: int
    offers: tuple[Offer, ...]
    top_ups: tuple[TopUpView, ...]


@dataclass(frozen=True, slots=True)
class PaymentState:
    """A payment that was asked for; `bonus_fen` comes on top once it is paid."""

    number: str
    amount_fen: int
    bonus_fen: int
    status: Literal["open", "paid", "closed"]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class MiniProgramPayment:
    """The arguments of `wx.requestPayment`."""

    time_stamp: str
    nonce_str: str
    package: str
    sign_type: str
    pay_sign: str


@dataclass(frozen=True, slots=True)
class PayoutCalculation:
    """What goes back of one top-up, with every number of the arithmetic (法释〔2025〕4号): `price_fen` is what the used
    part is counted at, interest is at `rate_basis_points` a year for `interest_days`."""

    cause: Literal["merchant", "consumer", "withdrawal"]
    paid_fen: int
    bonus_fen: int
    consumed_fen: int
    list_fen: int
    price_fen: int
    principal_fen: int
    interest_fen: int
    interest_days: int
    rate_basis_points: int | None
    rate_since: date | None
    total_fen: int
    articles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PayoutPreview:
    """What would go back for each cause that applies today."""

    top_up: str
    calculations: tuple[PayoutCalculation, ...]


async def read_stored_value(call: Call[NoBody, NoQuery]) -> StoredValue:
    """The member's own."""
    return await view_of(call.member_id, call.now)


async def start_top_up(call: Call[ToppingUp, NoQuery]) -> PaymentState:
    """Ask for a payment; it is paid by `…/pay` next."""
    bonus = await stored_value.check_top_up(call.member_id, call.body.amount_fen, now=call.now)
    account = next(iter(call.context.pay.values()), None)
    if account is None:
        raise NoPayAccount
    new = NewPayment(
        platform=PLATFORM,
        account=account.account.account,
        merchant=account.account.mch_id,
        app_id=account.account.app_id,
        member_id=call.member_id,
        purpose=TOP_UP,
        amount_fen=call.body.amount_fen,
        details={"bonus_fen": bonus},
    )
    return _state(await payments.ask(new, now=call.now))


async def ask_platform(call: Call[NoBody, NoQuery]) -> PayRequest:
    """What the mini-program needs to let its user pay; asked before any unit of work."""
    payment = await _own(call)
    account = call.context.pay.get(payment.account)
    payer = await identity.external_id_on(call.member_id, payment.app_id)
    if account is None or payer is None:
        raise NoPayAccount
    if payment.status is not State.OPEN or payment.expires_at <= call.now:
        raise PaymentUnknown
    words = (await program.in_force(call.now)).terms.brand
    try:
        return await account.ask(payment, payer=payer, description=words[call.locale], now=call.now)
    except CallFailed as failed:
        raise PayUnavailable(retry_after_s=5) from failed


async def pay_top_up(call: Call[NoBody, NoQuery]) -> MiniProgramPayment:
    """The signed arguments."""
    asked: PayRequest = call.brought
    return MiniProgramPayment(asked.time_stamp, asked.nonce_str, asked.package, asked.sign_type, asked.pay_sign)


async def read_top_up(call: Call[NoBody, NoQuery]) -> PaymentState:
    """Whether it is paid: the mini-program asks until it is."""
    return _state(await _own(call))


async def preview_payout(call: Call[NoBody, NoQuery]) -> PayoutPreview:
    """What would come back of a top-up, reckoned by law."""
    slice_id = row_id(Kind.TOP_UP, call.path["top_up"])
    found = await payouts.preview(slice_id, call.member_id, now=call.now)
    return PayoutPreview(call.path["top_up"], tuple(shown(one) for one in found))


async def set_pin(call: Call[NewPin, NoQuery]) -> PinWrong | None:
    """Set or change the PIN."""
    return await permits.set_pin(call.member_id, call.body.pin, old=call.body.old, now=call.now)


async def view_of(member_id: int, now: datetime) -> StoredValue:
    """A member's stored value, for whoever may see it."""
    terms = (await program.in_force(now)).terms.stored_value
    wallet: Wallet = await stored_read.wallet(member_id, at=now)
    return StoredValue(
        total_fen=wallet.total_fen,
        principal_fen=wallet.principal_fen,
        bonus_fen=wallet.bonus_fen,
        frozen=wallet.is_frozen,
        has_pin=wallet.has_pin,
        accepts_top_ups=terms.enabled and terms.accepts_top_ups,
        permit_above_fen=terms.permit_above_fen,
        offers=tuple(Offer(offer.paid_fen, offer.bonus_fen) for offer in terms.offers),
        top_ups=tuple(top_up_of(one) for one in await stored_read.slices(member_id)),
    )


def top_up_of(one: SliceView) -> TopUpView:
    """A top-up as it is shown."""
    return TopUpView(
        id=public_id(Kind.TOP_UP, one.id),
        paid_fen=one.paid_fen,
        bonus_fen=one.bonus_fen,
        left_fen=one.principal_left_fen + one.bonus_left_fen,
        source=one.source,
        status="open" if one.status == "open" else "paid_out",
        paid_at=one.paid_at,
    )


def shown(one: Calculation) -> PayoutCalculation:
    """The arithmetic as it is shown."""
    return PayoutCalculation(
        cause=one.cause.value,
        paid_fen=one.paid_fen,
        bonus_fen=one.bonus_fen,
        consumed_fen=one.consumed_fen,
        list_fen=one.list_fen,
        price_fen=one.price_fen,
        principal_fen=one.principal_fen,
        interest_fen=one.interest_fen,
        interest_days=one.interest_days,
        rate_basis_points=None if one.rate is None else one.rate.basis_points,
        rate_since=None if one.rate is None else one.rate.since,
        total_fen=one.total_fen,
        articles=one.articles,
    )


async def _own(call: Call[NoBody, NoQuery]) -> PaymentView:
    payment = await payments.find(call.path["number"])
    if payment.member_id != call.member_id:
        raise PaymentUnknown
    return payment


def _state(payment: PaymentView) -> PaymentState:
    return PaymentState(
        payment.number, payment.amount_fen, payment.details["bonus_fen"], payment.status.value, payment.expires_at
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/me/stored-value",
        run=read_stored_value,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=StoredValue,
        summary=Summary("储值余额与充值记录", "Stored value and its top-ups"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/top-ups",
        run=start_top_up,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=ToppingUp,
        result=PaymentState,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(*LOOKING_UP, NoPayAccount),
        summary=Summary("发起充值", "Start a top-up"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/top-ups/{number}/pay",
        before=ask_platform,
        run=pay_top_up,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        result=MiniProgramPayment,
        rate=Rate.WRITE,
        repeat=Repeat.ONE_USE,
        refusals=(PaymentUnknown, NoPayAccount, PayUnavailable),
        summary=Summary("取得微信支付参数", "The arguments to pay with WeChat Pay"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/top-ups/{number}",
        run=read_top_up,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=PaymentState,
        refusals=(PaymentUnknown,),
        summary=Summary("充值是否到账", "Whether a top-up is paid"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/stored-value/{top_up}/payout",
        run=preview_payout,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=PayoutPreview,
        refusals=(SliceUnknown, AlreadyPaidOut),
        summary=Summary("按法律计算可退金额", "What would come back, by law"),
    ),
    Endpoint(
        method="PUT",
        path="/v1/me/stored-value/pin",
        run=set_pin,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=NewPin,
        result=None,
        status=204,
        rate=Rate.GUESSABLE,
        repeat=Repeat.ONE_USE,
        refusals=(PinWeak, PinWrong),
        summary=Summary("设置支付密码", "Set the PIN for larger payments"),
    ),
)
