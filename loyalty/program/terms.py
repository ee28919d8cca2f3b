"""The terms of a programme (会员章程的数字): what a merchant publishes and members rely on.

One published version is one validated document; its JSON Schema feeds the console's forms. Changing a
number is a new version with its own date, never a deploy, and past facts keep the version they had.
"""

from itertools import pairwise
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

Amount = Annotated[int, Field(ge=0, le=10**9)]
Words = dict[str, str]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PointsTerms(_Part):
    """Points: earned per yuan of the paid amount, expiring so many months after they become usable."""

    per_yuan: Amount = 1
    expiry_months: Annotated[int, Field(ge=0, le=120)] = 12


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


class TierTerms(_Part):
    """One step of the ladder; `multiplier_percent` applies to points earned by purchases."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,23}$")]
    growth_from: Amount
    multiplier_percent: Annotated[int, Field(ge=100, le=1000)] = 100
    names: Words


class StaffLimits(_Part):
    """How many points one role may grant by itself; above it another person decides."""

    clerk_grant: Amount = 100
    manager_grant: Amount = 1000
    clerk_day: Amount = 500
    manager_day: Amount = 5000
    approval_hours: Annotated[int, Field(ge=1, le=168)] = 24


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


DEFAULT_LADDER: Final = (
    TierTerms(code="basic", growth_from=0, names={"zh-CN": "普通会员", "en": "Member"}),
    TierTerms(code="silver", growth_from=500, multiplier_percent=110, names={"zh-CN": "银卡会员", "en": "Silver"}),
    TierTerms(code="gold", growth_from=2000, multiplier_percent=120, names={"zh-CN": "金卡会员", "en": "Gold"}),
    TierTerms(code="diamond", growth_from=10000, multiplier_percent=150, names={"zh-CN": "钻石会员", "en": "Diamond"}),
)


class Terms(_Part):
    """Everything a brand decides about its programme."""

    brand: Words = {"zh-CN": "小惠", "en": "Xiaohui"}
    zone: str = "Asia/Shanghai"
    points: PointsTerms = PointsTerms()
    growth: GrowthTerms = GrowthTerms()
    check_in: CheckInTerms = CheckInTerms()
    tiers: tuple[TierTerms, ...] = DEFAULT_LADDER
    staff: StaffLimits = StaffLimits()
    reminders: ReminderTerms = ReminderTerms()
    birthday: BirthdayTerms = BirthdayTerms()
    quiet_hours: QuietHours = QuietHours()

    @model_validator(mode="after")
    def _ladder_rises(self) -> Self:
        steps = [tier.growth_from for tier in self.tiers]
        if not steps or steps[0] != 0 or any(a >= b for a, b in pairwise(steps)):
            raise ValueError("tiers start at growth_from = 0 and rise strictly")
        return self

    @property
    def calendar(self) -> ZoneInfo:
        """The programme's own zone: every business day is a day there."""
        return ZoneInfo(self.zone)
