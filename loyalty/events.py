"""Every fact of the domain on one page: past tense, versioned, ids and values only.

An event is stored append-only in the transaction that caused it (`loyalty.spine.service.record`) and
read by journeys, reports and partner webhooks from that one spine. Personal data never enters one.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all facts share; `member_id` is None only for facts about nobody."""

    name: ClassVar[str]
    version: ClassVar[int] = 1

    member_id: int | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberJoined(Event):
    name: ClassVar[str] = "member.joined"
    channel: str
    scene: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRegistered(Event):
    name: ClassVar[str] = "member.registered"
    channel: str
    with_phone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileCompleted(Event):
    name: ClassVar[str] = "member.profile_completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersMerged(Event):
    name: ClassVar[str] = "member.merged"
    source_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberClosed(Event):
    name: ClassVar[str] = "member.closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFollowed(Event):
    name: ClassVar[str] = "channel.followed"
    channel: str
    scene: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLeft(Event):
    name: ClassVar[str] = "channel.left"
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentChanged(Event):
    name: ClassVar[str] = "consent.changed"
    purpose: str
    granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedIn(Event):
    name: ClassVar[str] = "member.checked_in"
    day: date
    streak: int
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberEventReported(Event):
    name: ClassVar[str] = "member_event.reported"
    event: str
    event_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsAccrued(Event):
    name: ClassVar[str] = "points.accrued"
    points: int
    balance: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsDeducted(Event):
    name: ClassVar[str] = "points.deducted"
    points: int
    owed: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsSpent(Event):
    name: ClassVar[str] = "points.spent"
    points: int
    balance: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValueAdded(Event):
    name: ClassVar[str] = "stored_value.added"
    slice_id: int
    paid_fen: int
    bonus_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValueUsed(Event):
    name: ClassVar[str] = "stored_value.used"
    amount_fen: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValueReturned(Event):
    name: ClassVar[str] = "stored_value.returned"
    amount_fen: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValueRefunded(Event):
    name: ClassVar[str] = "stored_value.refunded"
    slice_id: int
    cause: str
    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsExpired(Event):
    name: ClassVar[str] = "points.expired"
    points: int
    balance: int
    asset: str = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsActivated(Event):
    name: ClassVar[str] = "points.activated"
    points: int
    balance: int
    asset: str = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsLapsed(Event):
    name: ClassVar[str] = "points.lapsed"
    points: int
    asset: str = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsHoldExpired(Event):
    name: ClassVar[str] = "points.hold_expired"
    points: int
    balance: int
    asset: str = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRecorded(Event):
    name: ClassVar[str] = "purchase.recorded"
    purchase_id: int
    amount_fen: int
    points: int
    growth: int
    store_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRefunded(Event):
    name: ClassVar[str] = "purchase.refunded"
    purchase_id: int
    refund_id: int
    amount_fen: int
    points_taken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponClaimed(Event):
    name: ClassVar[str] = "coupon.claimed"
    coupon_id: int
    template_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponRedeemed(Event):
    name: ClassVar[str] = "coupon.redeemed"
    coupon_id: int
    template_id: int
    store_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponRedemptionUndone(Event):
    name: ClassVar[str] = "coupon.redemption_undone"
    coupon_id: int
    template_id: int
    store_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponExpired(Event):
    name: ClassVar[str] = "coupon.expired"
    coupon_id: int
    template_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrizeDrawn(Event):
    name: ClassVar[str] = "prize.drawn"
    draw: str
    prize: str
    record_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MallOrdered(Event):
    name: ClassVar[str] = "mall.ordered"
    order_id: int
    item: str
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MallOrderEnded(Event):
    name: ClassVar[str] = "mall.order_ended"
    order_id: int
    item: str
    state: str
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MallStockWarned(Event):
    name: ClassVar[str] = "mall.stock_warned"
    item: str
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRaised(Event):
    name: ClassVar[str] = "tier.raised"
    ladder: str
    old: str
    new: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLowered(Event):
    name: ClassVar[str] = "tier.lowered"
    ladder: str
    old: str
    new: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRetained(Event):
    name: ClassVar[str] = "tier.retained"
    ladder: str
    tier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLoweringAnnounced(Event):
    name: ClassVar[str] = "tier.lowering_announced"
    ladder: str
    tier: str
    ends_at: datetime
    days: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(Event):
    name: ClassVar[str] = "approval.requested"
    approval_id: str
    requested_by: int
    kind: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecided(Event):
    name: ClassVar[str] = "approval.decided"
    approval_id: str
    requested_by: int
    decided_by: int
    approved: bool
    kind: str
    amount: int


EVENTS: Final[dict[str, type[Event]]] = {
    kind.name: kind
    for kind in (
        MemberJoined,
        MemberRegistered,
        ProfileCompleted,
        MembersMerged,
        MemberClosed,
        ChannelFollowed,
        ChannelLeft,
        ConsentChanged,
        CheckedIn,
        MemberEventReported,
        PointsAccrued,
        PointsDeducted,
        PointsSpent,
        StoredValueAdded,
        StoredValueUsed,
        StoredValueReturned,
        StoredValueRefunded,
        PointsExpired,
        PointsActivated,
        PointsLapsed,
        PointsHoldExpired,
        PurchaseRecorded,
        PurchaseRefunded,
        CouponClaimed,
        CouponRedeemed,
        CouponRedemptionUndone,
        CouponExpired,
        PrizeDrawn,
        MallOrdered,
        MallOrderEnded,
        MallStockWarned,
        TierRaised,
        TierLowered,
        TierRetained,
        TierLoweringAnnounced,
        ApprovalRequested,
        ApprovalDecided,
    )
}
"""The literal registry: stored events are read back through it by name."""

# What somebody waits for; an event outside this set is history only and costs no queue row.
SUBSCRIBED: Final = frozenset(
    {
        "member.registered",
        "member.profile_completed",
        "member.merged",
        "approval.requested",
        "approval.decided",
        "tier.lowered",
    }
)
