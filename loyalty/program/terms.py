"""The terms of a programme (会员章程的数字): what a merchant publishes and members rely on.

One published version is one validated document; its JSON Schema feeds the console's forms. Changing a
number is a new version with its own date, never a deploy, and past facts keep the version they had.
"""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

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


class Terms(_Part):
    """Everything a brand decides about its programme."""

    brand: Words = {"zh-CN": "小惠", "en": "Xiaohui"}
    zone: str = "Asia/Shanghai"
    points: PointsTerms = PointsTerms()
    growth: GrowthTerms = GrowthTerms()
    check_in: CheckInTerms = CheckInTerms()
    staff: StaffLimits = StaffLimits()
    reminders: ReminderTerms = ReminderTerms()
    birthday: BirthdayTerms = BirthdayTerms()
    quiet_hours: QuietHours = QuietHours()

    @property
    def calendar(self) -> ZoneInfo:
        """The programme's own zone: every business day is a day there."""
        return ZoneInfo(self.zone)
