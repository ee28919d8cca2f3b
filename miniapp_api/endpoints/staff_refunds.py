"""What staff take back: goods of a purchase, looked at before, and points with a reason."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from loyalty.access import Action, OtherStore, OwnMembership
from loyalty.counter import service as counter
from loyalty.deductions import service as deductions
from loyalty.deductions.service import DeductionInvalid, DeductionKeyReused
from loyalty.errors import NotFound
from loyalty.members.service import MemberGone
from loyalty.purchases.receipt import LINES_MAX
from loyalty.refunds.queries import RefundView
from loyalty.refunds.rules import LineReturned, LineUnknown, Method, RefundInvalid
from loyalty.refunds.service import PurchaseUnknown, RefundTooLarge, RefundTooLate
from loyalty.staff_refunds import service as refunds
from loyalty.staff_refunds.rules import DiscountFate
from loyalty.staff_refunds.service import Goods, NewReturn, QuoteChanged, ReturnInvalid, ReturnKeyReused
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.sales import ReturnedLine
from miniapp_api.public_ids import Kind, PublicId, public_id, row_id

Reason = Annotated[str, Field(min_length=1, max_length=200)]


class ReturnedGoods(Body):
    """What comes back of a purchase: `lines`, or `amount_fen` of its price; neither is all that is left."""

    purchase: PublicId
    amount_fen: Annotated[int, Field(ge=1, le=10**12)] | None = None
    lines: Annotated[tuple[ReturnedLine, ...], Field(max_length=LINES_MAX)] = ()


class StaffRefund(ReturnedGoods):
    """A refund as it was shown: its method and its money; when it would come to other money nothing happens."""

    method: Method
    money_fen: Annotated[int, Field(ge=0, le=10**12)]
    reason: Reason


class PointDeduction(Body):
    """Points that a person takes, and why."""

    member: UUID
    points: Annotated[int, Field(ge=1, le=10**6)]
    reason: Reason


@dataclass(frozen=True, slots=True)
class RefundFigures:
    """Money and points given back, and what is taken back of what was earned: `points_owed` is owed, `points_forgiven`
    was out of reach."""

    method: str
    amount_fen: int
    money_fen: int
    points_returned: int
    points_taken: int
    points_owed: int
    points_forgiven: int
    growth_taken: int


@dataclass(frozen=True, slots=True)
class RefundPreview:
    """One method: what it comes to, what becomes of discounts, and whether another person has to agree."""

    figures: RefundFigures
    discounts: tuple[DiscountFate, ...]
    needs_another: bool


@dataclass(frozen=True, slots=True)
class RefundPreviews:
    """Both methods, that of the programme first; nothing happened."""

    items: tuple[RefundPreview, ...]


@dataclass(frozen=True, slots=True)
class StaffRefundOutcome:
    """The refund is recorded, or waits for another person; `refund` is its id."""

    status: Literal["posted", "pending", "refused", "expired"]
    money_fen: int
    refund: str | None
    figures: RefundFigures | None
    approval: str | None


@dataclass(frozen=True, slots=True)
class PointDeductionOutcome:
    """The points are taken (of `points`, `owed` are owed and `forgiven` were out of reach), or wait."""

    status: Literal["posted", "pending", "refused", "expired"]
    points: int
    taken: int
    owed: int
    forgiven: int
    approval: str | None


async def preview_staff_refund(call: Call[ReturnedGoods, NoQuery]) -> RefundPreviews:
    """What a refund would come to."""
    shown = await refunds.preview(_goods(call.body), principal=call.staff, now=call.now)
    return RefundPreviews(
        items=tuple(RefundPreview(_figures(one.done), one.discounts, one.needs_another) for one in shown)
    )


async def staff_refund(call: Call[StaffRefund, NoQuery]) -> StaffRefundOutcome:
    """Record a refund within the limit, or ask another person."""
    wanted = call.body
    new = NewReturn(goods=_goods(wanted), method=wanted.method, money_fen=wanted.money_fen, reason=wanted.reason)
    done = await refunds.refund(new, principal=call.staff, key=call.operation_key, now=call.now)
    figures = None if done.refund is None else _figures(done.refund)
    refund = None if done.refund is None else public_id(Kind.REFUND, done.refund.id)
    return StaffRefundOutcome(done.status, done.money_fen, refund, figures, done.approval)


async def staff_deduct_points(call: Call[PointDeduction, NoQuery]) -> PointDeductionOutcome:
    """Take points within the limit, or ask another person."""
    wanted = call.body
    card = await counter.recall(wanted.member, server=call.staff, action=Action.POINTS_DEDUCT, now=call.now)
    done = await deductions.deduct(
        call.staff, card.id, wanted.points, reason=wanted.reason, key=call.operation_key, now=call.now
    )
    return PointDeductionOutcome(
        done.status,
        done.points,
        done.taken,
        done.owed,
        done.forgiven,
        done.approval,
    )


def _goods(wanted: ReturnedGoods) -> Goods:
    return Goods(
        purchase_id=row_id(Kind.PURCHASE, wanted.purchase),
        amount_fen=wanted.amount_fen,
        lines={line.no: line.quantity for line in wanted.lines},
    )


def _figures(done: RefundView) -> RefundFigures:
    return RefundFigures(
        done.method,
        done.amount_fen,
        done.money_fen,
        done.points_returned,
        done.points_taken,
        done.points_owed,
        done.points_forgiven,
        done.growth_taken,
    )


_RETURN = (
    NotFound,
    OtherStore,
    OwnMembership,
    PurchaseUnknown,
    RefundTooLarge,
    RefundTooLate,
    RefundInvalid,
    LineUnknown,
    LineReturned,
)

ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/staff/refund-previews",
        run=preview_staff_refund,
        audience=Audience.STAFF,
        action=Action.PURCHASE_REFUND,
        body=ReturnedGoods,
        result=RefundPreviews,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=_RETURN,
        summary=Summary("退款预览：退多少钱和积分、扣回多少、优惠怎样", "What a refund would come to, by both methods"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/refunds",
        run=staff_refund,
        audience=Audience.STAFF,
        action=Action.PURCHASE_REFUND,
        body=StaffRefund,
        result=StaffRefundOutcome,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(*_RETURN, QuoteChanged, ReturnInvalid, ReturnKeyReused),
        summary=Summary("确认退款（超过额度需审批）", "Refund as previewed (above the limit another person decides)"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/point-deductions",
        run=staff_deduct_points,
        audience=Audience.STAFF,
        action=Action.POINTS_DEDUCT,
        body=PointDeduction,
        result=PointDeductionOutcome,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(OtherStore, OwnMembership, MemberGone, DeductionInvalid, DeductionKeyReused),
        summary=Summary("扣减积分（超过额度需审批）", "Take points (above the limit another person decides)"),
    ),
)
