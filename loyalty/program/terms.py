"""The terms of a programme (会员章程的数字): what a merchant publishes and members rely on.

One published version is one validated document; its JSON Schema feeds the console's forms. Changing a
number is a new version with its own date, never a deploy, and past facts keep the version they had.
"""

from datetime import date
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from loyalty.expiry import Expiry
from loyalty.program.earning import EarningTerms

Amount = Annotated[int, Field(ge=0, le=10**9)]
Words = dict[str, str]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PointsTerms(_Part):
    """Points: earned per yuan of the paid amount, expiring so many months after they become usable, at the
    month's end; `expiry` replaces that by another rule, `expiry_by_tier` for members of a tier.

    Points of a purchase become usable `pending_days` business days after it was received, when those days are over
    (0: at once). What is not received within `undelivered_days` earns nothing."""

    per_yuan: Amount = 1
    expiry_months: Annotated[int, Field(ge=0, le=120)] = 12
    expiry: Expiry | None = None
    expiry_by_tier: dict[str, Expiry] = {}
    pending_days: Annotated[int, Field(ge=0, le=365)] = 0
    undelivered_days: Annotated[int, Field(ge=1, le=365)] = 30


class PointsKind(_Part):
    """A further kind of points beside the ordinary ones, with its own ledger account `points:<code>`."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,15}$")]
    names: Words
    value_fen: Annotated[int, Field(ge=0, le=10**6)] = 1


class RedemptionTerms(_Part):
    """Points as a means of payment: `points_per_yuan` pay one yuan, in multiples of `multiple`, from `min_points` on,
    up to `max_percent` of an order."""

    points_per_yuan: Annotated[int, Field(ge=1, le=10**6)] = 100
    multiple: Annotated[int, Field(ge=1, le=10**6)] = 1
    min_points: Amount = 0
    max_percent: Annotated[int, Field(ge=0, le=100)] = 100


class AccountCode(_Part):
    """An account of the merchant's general ledger."""

    code: Annotated[str, Field(min_length=1, max_length=40)]
    name: Annotated[str, Field(min_length=1, max_length=80)]


class AccountTerms(_Part):
    """Which accounts the programme's vouchers name."""

    liability: AccountCode = AccountCode(code="2205.01", name="合同负债-会员积分")
    revenue: AccountCode = AccountCode(code="6001.01", name="主营业务收入-积分")
    goodwill: AccountCode = AccountCode(code="6601.01", name="销售费用-积分补偿")


class RefundTerms(_Part):
    """How a partial return is reckoned where its reporter does not say: `readjudicate` judges what is kept as if only
    that had been bought, `proportional` gives back the returned part of everything. Older purchases than `days` are
    refunded by nobody; sales older than `late_days` are not taken any more."""

    method: Literal["readjudicate", "proportional"] = "readjudicate"
    days: Annotated[int, Field(ge=1, le=3660)] = 3660
    late_days: Annotated[int, Field(ge=1, le=3660)] = 366


class ClawBackTerms(_Part):
    """What happens when earned points are to be taken back and the member no longer has them (a refund).

    `only_pending` never touches usable points, `within_balance` takes what is there, `allow` lets the member owe
    the rest up to `cap`, or up to `cap_by_tier` for members of that tier. What is out of reach is forgiven.
    """

    mode: Literal["only_pending", "within_balance", "allow"] = "within_balance"
    cap: Amount = 0
    cap_by_tier: dict[str, Amount] = {}

    def cap_of(self, tier: str | None) -> int:
        """How much a member of `tier` may owe."""
        return self.cap_by_tier.get(tier, self.cap) if tier is not None else self.cap


class TopUpOffer(_Part):
    """Whoever pays `paid_fen` in gets `bonus_fen` on top."""

    paid_fen: Annotated[int, Field(ge=1, le=10**7)]
    bonus_fen: Annotated[int, Field(ge=0, le=10**7)]


class YearlyRate(_Part):
    """A yearly rate in hundredths of a percent, from a day on."""

    since: date
    basis_points: Annotated[int, Field(ge=0, le=3600)]


class StoredValueTerms(_Part):
    """Stored value (储值), a single-purpose prepaid card; off until a brand that has filed for it switches it on.

    `accepts_top_ups` stops new money while what is stored stays usable. `most_fen` may be stored in a name (a proven
    phone number), `nameless_most_fen` without (商务部令2012年第9号: 5,000 and 1,000 yuan). Payments above
    `permit_above_fen` need the member's PIN or code. Payouts above `payout_alone_fen` need another person.
    `deposit_percent` of what is owed lies in the deposit account. The rates are those of article 16 of 法释〔2025〕4号:
    one-year loan prime rate, and the central bank's one-year deposit rate.
    """

    enabled: bool = False
    accepts_top_ups: bool = True
    offers: tuple[TopUpOffer, ...] = ()
    least_fen: Annotated[int, Field(ge=1, le=10**7)] = 1_00
    most_fen: Annotated[int, Field(ge=1, le=5_000_00)] = 5_000_00
    nameless_most_fen: Annotated[int, Field(ge=0, le=1_000_00)] = 1_000_00
    permit_above_fen: Annotated[int, Field(ge=0, le=5_000_00)] = 200_00
    payout_alone_fen: Amount = 500_00
    deposit_percent: Annotated[int, Field(ge=0, le=100)] = 20
    loan_rates: tuple[YearlyRate, ...] = (
        YearlyRate(since=date(2023, 8, 21), basis_points=345),
        YearlyRate(since=date(2024, 7, 22), basis_points=335),
        YearlyRate(since=date(2024, 10, 21), basis_points=310),
        YearlyRate(since=date(2025, 5, 20), basis_points=300),
    )
    deposit_rates: tuple[YearlyRate, ...] = (YearlyRate(since=date(2015, 10, 24), basis_points=150),)

    def bonus_for(self, paid_fen: int) -> int:
        """What paying exactly this brings on top."""
        return next((offer.bonus_fen for offer in self.offers if offer.paid_fen == paid_fen), 0)


class GrowthTerms(_Part):
    """Growth value (成长值), which decides the tier and is never spent."""

    per_yuan: Amount = 1
    per_check_in: Amount = 1


class StreakBonus(_Part):
    """Extra points on the day a streak reaches `days`."""

    days: Annotated[int, Field(ge=2, le=366)]
    points: Amount


class CheckInTerms(_Part):
    """Daily check-in (签到)."""

    points: Amount = 5
    bonuses: tuple[StreakBonus, ...] = (StreakBonus(days=7, points=20), StreakBonus(days=30, points=100))


class StaffLimits(_Part):
    """How many points one role may grant or deduct by itself, how much money it may refund, and how far and how long
    it may move a tier; above it another person decides. What is `_day` bounds a business day."""

    clerk_grant: Amount = 100
    manager_grant: Amount = 1000
    clerk_day: Amount = 500
    manager_day: Amount = 5000
    clerk_deduct: Amount = 0
    manager_deduct: Amount = 500
    clerk_deduct_day: Amount = 0
    manager_deduct_day: Amount = 2000
    manager_refund_fen: Amount = 500_00
    manager_refund_day_fen: Amount = 5000_00
    finance_refund_fen: Amount = 10_000_00
    finance_refund_day_fen: Amount = 100_000_00
    override_steps: Annotated[int, Field(ge=0, le=20)] = 1
    override_days: Annotated[int, Field(ge=0, le=1830)] = 92
    approval_hours: Annotated[int, Field(ge=1, le=168)] = 24


class DrawTerms(_Part):
    """Above which worth a draw is published by one person only after another agreed: of all its limited prizes, and of
    what one chance brings on average in prizes without a limit."""

    alone_fen: Amount = 10_000_00
    alone_chance_fen: Amount = 5_00


class ReminderTerms(_Part):
    """How many days ahead members are told that something ends."""

    points_days: tuple[int, ...] = (30, 7, 1)
    coupon_days: tuple[int, ...] = (7, 1)


class BirthdayTerms(_Part):
    """The birthday greeting and its gift."""

    points: Amount = 88
    send_at_hour: Annotated[int, Field(ge=0, le=23)] = 10


class QuietHours(_Part):
    """Local hours in which nothing but direct answers is sent: from `start_hour` until `end_hour`."""

    start_hour: Annotated[int, Field(ge=0, le=23)] = 21
    end_hour: Annotated[int, Field(ge=0, le=23)] = 8


class Terms(_Part):
    """Everything a brand decides about its programme."""

    brand: Words = {"zh-CN": "小惠", "en": "Xiaohui"}
    zone: str = "Asia/Shanghai"
    points: PointsTerms = PointsTerms()
    points_kinds: tuple[PointsKind, ...] = ()
    claw_back: ClawBackTerms = ClawBackTerms()
    redemption: RedemptionTerms = RedemptionTerms()
    refunds: RefundTerms = RefundTerms()
    stored_value: StoredValueTerms = StoredValueTerms()
    accounts: AccountTerms = AccountTerms()
    growth: GrowthTerms = GrowthTerms()
    earning: EarningTerms = EarningTerms()
    check_in: CheckInTerms = CheckInTerms()
    staff: StaffLimits = StaffLimits()
    draws: DrawTerms = DrawTerms()
    reminders: ReminderTerms = ReminderTerms()
    birthday: BirthdayTerms = BirthdayTerms()
    quiet_hours: QuietHours = QuietHours()

    @property
    def calendar(self) -> ZoneInfo:
        """The programme's own zone: every business day is a day there."""
        return ZoneInfo(self.zone)
