"""How earning counts over all rules: rounding, how multipliers meet, and the programme's own caps. Values only."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loyalty.conditions.nodes import Condition

Units = Annotated[int, Field(ge=1, le=10**9)]
Period = Literal["day", "week", "month", "year", "lifetime"]
AssetName = Annotated[str, Field(pattern=r"^(points|growth|points:[a-z][a-z0-9_]{0,15})$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cap(_Part):
    """At most `amount` per member and period of the programme's calendar; what lies above is withheld."""

    per: Period
    amount: Units


class AssetCap(Cap):
    """A cap on everything that rules give of one asset together."""

    asset: AssetName = "points"


class Rounding(_Part):
    """Where fractions end. `per` order adds up before it rounds, `per` line rounds each line by itself. With `carry`
    the fraction of an order that was rounded down counts for the member's next one."""

    per: Literal["order", "line"] = "order"
    mode: Literal["down", "half_up", "up"] = "down"
    carry: bool = False

    @model_validator(mode="after")
    def _carries_what_is_left(self) -> Self:
        if self.carry and (self.per, self.mode) != ("order", "down"):
            raise ValueError("a fraction is carried where orders are rounded down")
        return self


class EarningTerms(_Part):
    """What holds for all earning rules.

    `multipliers`: additive ones each add their own part of what is multiplied (100, +50 %, double: 250), compounding
    ones multiply each other (300). `no_points_on` names lines that earn nothing. `per_transaction` refuses in full
    what one fact would earn above it. `alone_budget` is the budget in units up to which one person publishes a rule;
    above it, and without a budget, another person decides.
    """

    multipliers: Literal["additive", "compounding"] = "additive"
    rounding: Rounding = Rounding()
    caps: Annotated[tuple[AssetCap, ...], Field(max_length=20)] = ()
    per_transaction: Units | None = None
    no_points_on: Condition | None = None
    alone_budget: Annotated[int, Field(ge=0, le=10**12)] = 1_000_000
