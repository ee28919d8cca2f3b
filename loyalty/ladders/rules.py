"""A ladder of tiers (会员等级体系) as a marketer writes it: what counts, what each step asks and gives, how long it
lasts and how it ends. Values only; what cannot work is said by `loyalty.ladders.checks`. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAIN: Final = "main"
STEPS_MAX: Final = 20
TEXTS_MAX: Final = 20
PERCENT: Final = 100
Amount = Annotated[int, Field(ge=0, le=10**12)]
Months = Annotated[int, Field(ge=0, le=120)]
Days = Annotated[int, Field(ge=0, le=3660)]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,23}$")]
Words = dict[str, Annotated[str, Field(max_length=200)]]
Unit = Literal["month", "quarter", "half_year", "year"]
Rounding = Literal["day", "week", "month", "quarter", "half_year", "year"]
FirstMonth = Annotated[int, Field(ge=1, le=12)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Length(_Part):
    """So many months, or so many days."""

    months: Months = 0
    days: Days = 0

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.months > 0) == (self.days > 0):
            raise ValueError("give either months or days")
        return self


class Metric(StrEnum):
    """What is counted: growth value (成长值), money paid less refunds in fen, business days with a purchase, points
    that were earned, or the points that the member has right now."""

    GROWTH = "growth"
    SPEND = "spend"
    VISITS = "visits"
    POINTS_EARNED = "points_earned"
    POINTS_BALANCE = "points_balance"


class Lifetime(_Part):
    """Everything there ever was."""

    kind: Literal["lifetime"] = "lifetime"


class Calendar(_Part):
    """The running month, quarter, half year or year; years begin with `first_month`."""

    kind: Literal["calendar"] = "calendar"
    unit: Unit = "year"
    first_month: FirstMonth = 1


class MemberAnniversary(_Part):
    """The year since the last anniversary of joining."""

    kind: Literal["member_anniversary"] = "member_anniversary"


class TierAnniversary(_Part):
    """Periods of `months` since the tier was reached or last confirmed; for who has none yet, since joining."""

    kind: Literal["tier_anniversary"] = "tier_anniversary"
    months: Annotated[int, Field(ge=1, le=120)] = 12


class Rolling(_Length):
    """The last so many months or days."""

    kind: Literal["rolling"] = "rolling"


Window: TypeAlias = Lifetime | Calendar | MemberAnniversary | TierAnniversary | Rolling


class Measure(_Part):
    """A metric over a window; spend and visits may count in some stores only (empty: in all)."""

    metric: Metric = Metric.GROWTH
    window: Annotated[Window, Field(discriminator="kind")] = Lifetime()
    store_ids: tuple[int, ...] = ()


class Forever(_Part):
    """Once reached it stays (终身)."""

    kind: Literal["lifetime"] = "lifetime"


class Fixed(_Length):
    """So many months or days from the day on which it was reached."""

    kind: Literal["fixed"] = "fixed"


class CalendarEnd(_Part):
    """Through the end of the calendar unit and `further` more, never shorter than `minimum_months`."""

    kind: Literal["calendar"] = "calendar"
    unit: Unit = "year"
    first_month: FirstMonth = 1
    further: Annotated[int, Field(ge=0, le=12)] = 0
    minimum_months: Months = 0


class Anniversary(_Part):
    """Through the member's next anniversary of joining, never shorter than `minimum_months`."""

    kind: Literal["anniversary"] = "anniversary"
    minimum_months: Months = 0


class WhileQualified(_Part):
    """As long as the metric stays at what keeping asks; it is judged whenever the metric changes."""

    kind: Literal["while_qualified"] = "while_qualified"


Validity: TypeAlias = Forever | Fixed | CalendarEnd | Anniversary | WhileQualified


class Grace(_Length):
    """How long a tier lasts after the member fell short, up to the end of a day, month, quarter …

    After a review it counts from the review. While a tier follows its metric it counts in whole periods from the
    day on which the tier was reached (`reached`), or from the shortfall.
    """

    rounds_up_to: Rounding = "day"
    counts_from: Literal["reached", "shortfall"] = "reached"


class AtOnce(_Part):
    """A step is held from the moment in which it is reached."""

    kind: Literal["at_once"] = "at_once"


class NextPeriod(_Part):
    """A step is held from the beginning of the next month, quarter … after it was reached."""

    kind: Literal["next_period"] = "next_period"
    unit: Unit = "month"
    first_month: FirstMonth = 1


class Fall(StrEnum):
    """How far a member falls who did not keep a tier."""

    NONE = "none"
    ONE_STEP = "one_step"
    TO_EARNED = "to_earned"


class RefundPolicy(_Part):
    """What becomes of a tier without which its purchase would not have been reached: kept until the review when a
    benefit of it was used and else revoked, always kept, or always revoked. A kept tier that knows no review is
    reviewed after `kept_months`."""

    then: Literal["keep_if_used", "keep", "revoke"] = "keep_if_used"
    kept_months: Annotated[int, Field(ge=1, le=60)] = 12


class Benefits(_Part):
    """What a tier gives. `multiplier_percent` applies to points from purchases, `member_price_percent` to list
    prices; birthday points replace those of the programme (None: the programme's own)."""

    multiplier_percent: Annotated[int, Field(ge=100, le=1000)] = PERCENT
    birthday_points: Annotated[int, Field(ge=0, le=10**6)] | None = None
    birthday_coupon: Annotated[str, Field(max_length=40)] | None = None
    free_shipping: bool = False
    member_price_percent: Annotated[int, Field(ge=1, le=PERCENT)] = PERCENT
    texts: Annotated[tuple[Words, ...], Field(max_length=TEXTS_MAX)] = ()


class Step(_Part):
    """One tier. It is reached at `reach_from` and kept with `keep_from` (保级; None: the same)."""

    code: Code
    names: Words
    reach_from: Amount
    keep_from: Amount | None = None
    validity: Annotated[Validity, Field(discriminator="kind")] | None = None
    benefits: Benefits = Benefits()

    @property
    def kept_from(self) -> int:
        """What keeping asks."""
        return self.reach_from if self.keep_from is None else self.keep_from

    @property
    def multiplier_percent(self) -> int:
        """By how much points from purchases are multiplied."""
        return self.benefits.multiplier_percent


class Ladder(_Part):
    """Steps from the lowest, which asks nothing, to the highest. `keeping` counts for the review (None: as
    `measure`). `ends_points` are kinds of points that end with the tier when a member falls."""

    code: Code = MAIN
    names: Words = {}
    shown: bool = True
    measure: Measure = Measure()
    keeping: Measure | None = None
    validity: Annotated[Validity, Field(discriminator="kind")] = Forever()
    grace: Grace | None = None
    fall: Fall = Fall.TO_EARNED
    rises: Annotated[AtOnce | NextPeriod, Field(discriminator="kind")] = AtOnce()
    refund: RefundPolicy = RefundPolicy()
    notice_days: Annotated[tuple[Annotated[int, Field(ge=1, le=365)], ...], Field(max_length=10)] = (60, 30, 7)
    ends_points: tuple[str, ...] = ()
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=STEPS_MAX)]

    @property
    def lowest(self) -> Step:
        """The step of everybody who reached no other."""
        return self.steps[0]

    @property
    def kept_by(self) -> Measure:
        """What counts for keeping a tier."""
        return self.keeping or self.measure

    def place(self, code: str | None) -> int:
        """The position of a step from below; a code that the ladder does not know stands at the bottom."""
        return next((place for place, step in enumerate(self.steps) if step.code == code), 0)

    def step(self, code: str | None) -> Step:
        """The step called `code`, or the lowest."""
        return self.steps[self.place(code)]

    def validity_of(self, step: Step) -> Validity:
        """How long `step` is held; the lowest one always, and every one where nobody falls."""
        never_ends = step is self.lowest or self.fall is Fall.NONE
        return Forever() if never_ends else step.validity or self.validity

    def reached(self, count: int) -> Step:
        """The highest step that `count` reaches."""
        return next((step for step in reversed(self.steps) if step.reach_from <= count), self.lowest)


@dataclass(frozen=True, slots=True)
class PublishedLadder:
    """A ladder with the version that facts refer to; version 0 is the built-in one."""

    version: int
    ladder: Ladder

    @property
    def code(self) -> str:
        """The ladder's code."""
        return self.ladder.code


@dataclass(frozen=True, slots=True)
class Ladders:
    """Every ladder in force at one instant, by code; there is always a main one."""

    by_code: Mapping[str, PublishedLadder]

    @property
    def main(self) -> Ladder:
        """The ladder that the chat shows first."""
        return self.by_code[MAIN].ladder

    def of_tier(self, tier: str) -> PublishedLadder | None:
        """The ladder that has a step called `tier`; codes of tiers are the programme's own, not the ladder's."""
        return next((one for one in self.by_code.values() if any(step.code == tier for step in one.ladder.steps)), None)

    def step(self, tier: str | None, *, ladder: str = MAIN) -> Step:
        """The step called `tier`, on whichever ladder; the lowest of `ladder` when there is none (any more)."""
        found = None if tier is None else self.of_tier(tier)
        return (found or self.by_code[ladder]).ladder.step(tier)


def best_of(given: Iterable[Benefits]) -> Benefits:
    """The better of each benefit, for a member who stands on several ladders."""
    every = list(given)
    birthday = [one.birthday_points for one in every if one.birthday_points is not None]
    return Benefits(
        multiplier_percent=max((one.multiplier_percent for one in every), default=PERCENT),
        birthday_points=max(birthday, default=None),
        birthday_coupon=next((one.birthday_coupon for one in every if one.birthday_coupon), None),
        free_shipping=any(one.free_shipping for one in every),
        member_price_percent=min((one.member_price_percent for one in every), default=PERCENT),
        texts=tuple(text for one in every for text in one.texts)[:TEXTS_MAX],
    )


def _step(code: str, reach_from: int, percent: int, chinese: str, english: str) -> Step:
    return Step(
        code=code,
        reach_from=reach_from,
        benefits=Benefits(multiplier_percent=percent),
        names={"zh-CN": chinese, "en": english},
    )


DEFAULT_LADDER: Final = Ladder(
    names={"zh-CN": "会员等级", "en": "Membership"},
    steps=(
        _step("basic", 0, 100, "普通会员", "Member"),
        _step("silver", 500, 110, "银卡会员", "Silver"),
        _step("gold", 2000, 120, "金卡会员", "Gold"),
        _step("diamond", 10000, 150, "钻石会员", "Diamond"),
    ),
)
"""The main ladder until the merchant publishes one."""
