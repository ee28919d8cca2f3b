"""An earning rule (积分规则) as a marketer writes it. Values only; what it earns is said by `loyalty.earning.rules`."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from loyalty.conditions.nodes import Condition
from loyalty.conditions.vocabulary import CHECK_IN, EVENT, LINE, MEMBER, PURCHASE
from loyalty.expiry import Expiry, MonthDay
from loyalty.program.earning import AssetName, Cap, Period, Units

POINTS_TENDER: Final = "points"
PERCENT: Final = 100
EVENT_PREFIX: Final = "event:"

Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Words = Annotated[dict[str, Annotated[str, Field(min_length=1, max_length=80)]], Field(min_length=1)]
Trigger = Annotated[
    str,
    Field(pattern=r"^(purchase|check_in|registration|profile_completed|referral|birthday|event:[a-z][a-z0-9_]{0,39})$"),
]
Tenders = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=40)], ...], Field(max_length=20)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PerYuan(_Part):
    """`points` for every `per_fen` of what was paid, in fractions, or in whole `steps` only (每满 100 送 10).

    Counted is what was paid by any tender but `without_tenders`, or by `tenders` alone where they are named; on the
    lines of `where`.
    """

    kind: Literal["per_yuan"] = "per_yuan"
    points: Units = 1
    per_fen: Annotated[int, Field(ge=1, le=10**9)] = 100
    steps: bool = False
    tenders: Tenders = ()
    without_tenders: Tenders = (POINTS_TENDER,)
    where: Condition | None = None


class PerLine(_Part):
    """`points` for every line of `where`, or for every piece on it."""

    kind: Literal["per_line"] = "per_line"
    points: Units
    per: Literal["line", "quantity"] = "line"
    where: Condition | None = None


class Fixed(_Part):
    """`points`, whatever the occasion was worth."""

    kind: Literal["fixed"] = "fixed"
    points: Units


class Multiplier(_Part):
    """`percent` of what is multiplied in all: 200 doubles. It multiplies what multipliable rules gave (only those
    `of` these codes, where named) on the lines of `where`."""

    kind: Literal["multiplier"] = "multiplier"
    percent: Annotated[int, Field(ge=101, le=10_000)]
    of: Annotated[tuple[Code, ...], Field(max_length=20)] = ()
    where: Condition | None = None


class TierMultiplier(_Part):
    """The multiplier of the member's tier: the one of its benefits, or the one that `percents` has for the tier."""

    kind: Literal["tier_multiplier"] = "tier_multiplier"
    percents: Annotated[dict[Code, Annotated[int, Field(ge=100, le=10_000)]], Field(max_length=50)] | None = None


class Streak(_Part):
    """`points` for a check-in, more on the days on which a streak reaches one of `bonuses` (days to points)."""

    kind: Literal["streak"] = "streak"
    points: Annotated[int, Field(ge=0, le=10**9)]
    bonuses: Annotated[dict[Annotated[int, Field(ge=2, le=366)], Units], Field(max_length=50)] = {}


class BirthdayGift(_Part):
    """`points`, or those that the member's tier has for birthdays."""

    kind: Literal["birthday_gift"] = "birthday_gift"
    points: Annotated[int, Field(ge=0, le=10**9)]


class Nothing(_Part):
    """Gives nothing: switches a built-in rule off."""

    kind: Literal["nothing"] = "nothing"


Amount: TypeAlias = PerYuan | PerLine | Fixed | Multiplier | TierMultiplier | Streak | BirthdayGift | Nothing


class AfterDays(_Part):
    """Usable when so many days of the programme's calendar have passed: T+7 of the 5th is the 12th, 00:00."""

    kind: Literal["days"] = "days"
    days: Annotated[int, Field(ge=1, le=366)]


class OnEvent(_Part):
    """Usable when `event` is told of it (a delivery, the end of a return window), cancelled after so many days
    without it."""

    kind: Literal["event"] = "event"
    event: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,39}$")]
    cancel_after_days: Annotated[int, Field(ge=1, le=366)] | None = None


class OnDays(_Part):
    """Usable on the next of these days of the year."""

    kind: Literal["dates"] = "dates"
    days: Annotated[tuple[MonthDay, ...], Field(min_length=1, max_length=20)]


Waiting = Annotated[AfterDays | OnEvent | OnDays, Field(discriminator="kind")]


class Limit(_Part):
    """At most so many `times` per member and period."""

    per: Period
    times: Annotated[int, Field(ge=1, le=10**6)]


class Budget(_Part):
    """`total` units for all members together, shared by every rule of the same `campaign` where one is named. The last
    award gets what is left, or nothing unless `partial`."""

    total: Annotated[int, Field(ge=1, le=10**12)]
    campaign: Code | None = None
    partial: bool = True


class Group(_Part):
    """Rules of one group compete: the first that gives anything wins, or the best for the member; or they stack."""

    code: Code
    mode: Literal["stack", "first", "best"] = "best"


class Rule(_Part):
    """One earning rule.

    Rules are looked at by `order`, then by code. `multipliable` rules give what multipliers multiply (None: those that
    count money other than in steps, or lines, and check-ins). An `exclusive` rule does not meet other promotions: it
    fires alone or, when another fired before it, not at all; what is multipliable and the multiplier of the tier are no
    promotions. `per_transaction` refuses in full what the rule would give above it at once. `pending` units are not
    usable yet, `expiry` ends them by another rule than the programme's. The rule counts for what happens from
    `effective_from` (None: its publication) until `effective_until`.
    """

    code: Code
    name: Words
    trigger: Trigger
    asset: AssetName = "points"
    condition: Condition | None = None
    amount: Annotated[Amount, Field(discriminator="kind")]
    order: Annotated[int, Field(ge=-10_000, le=10_000)] = 100
    group: Group | None = None
    exclusive: bool = False
    multipliable: bool | None = None
    caps: Annotated[tuple[Cap, ...], Field(max_length=10)] = ()
    limits: Annotated[tuple[Limit, ...], Field(max_length=10)] = ()
    cooldown_hours: Annotated[int, Field(ge=1, le=24 * 3660)] | None = None
    per_transaction: Units | None = None
    budget: Budget | None = None
    pending: Waiting | None = None
    expiry: Expiry | None = None
    effective_from: AwareDatetime | None = None
    effective_until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.effective_from and self.effective_until and self.effective_from >= self.effective_until:
            raise ValueError("effective_until is after effective_from")
        if isinstance(self.amount, PerYuan | PerLine) and self.trigger != PURCHASE:
            raise ValueError("money and lines are counted on purchases")
        if isinstance(self.amount, Streak) and self.trigger != CHECK_IN:
            raise ValueError("streaks are those of check-ins")
        if isinstance(self.amount, Multiplier | TierMultiplier) and self.multipliable:
            raise ValueError("what multiplies is not multiplied")
        return self

    @property
    def is_base(self) -> bool:
        """Whether multipliers multiply what it gives."""
        if self.multipliable is not None:
            return self.multipliable
        counts_money = isinstance(self.amount, PerYuan) and not self.amount.steps
        return counts_money or isinstance(self.amount, PerLine | Streak)

    @property
    def is_promotion(self) -> bool:
        """Whether it may exclude and be excluded."""
        return not self.is_base and not isinstance(self.amount, TierMultiplier)

    @property
    def budget_code(self) -> str | None:
        """Under which name its budget is counted."""
        if self.budget is None:
            return None
        return f"campaign:{self.budget.campaign}" if self.budget.campaign else f"rule:{self.code}"


def scopes(trigger: str) -> frozenset[str]:
    """What the condition of a rule on this trigger may speak about."""
    own = {PURCHASE: PURCHASE, CHECK_IN: CHECK_IN}.get(trigger, EVENT)
    return frozenset({MEMBER, own})


def line_scopes() -> frozenset[str]:
    """What a condition on single lines may speak about."""
    return frozenset({MEMBER, PURCHASE, LINE})


def document_of(rule: Rule) -> dict[str, Any]:
    """The rule as its JSON document, without what it does not say."""
    return rule.model_dump(mode="json", exclude_none=True)


def fingerprint(document: Mapping[str, Any]) -> str:
    """The SHA-256 of a document's canonical text."""
    return hashlib.sha256(canonical(document)).hexdigest()


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one text of a document."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
