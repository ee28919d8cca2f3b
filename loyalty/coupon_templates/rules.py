"""What a coupon is worth and when it counts: values that a marketer writes. Pure."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from loyalty.clock import business_day, start_of
from loyalty.money import AMOUNT_MAX

Fen = Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
Words = Annotated[dict[str, Annotated[str, Field(min_length=1, max_length=80)]], Field(min_length=1)]
PERCENT: Final = 100
PER_MEMBER_MAX: Final = 100


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AmountOff(_Part):
    """代金券: `off_fen` less to pay, never more than the order."""

    kind: Literal["amount"] = "amount"
    off_fen: Fen


class PercentOff(_Part):
    """折扣券: `percent_off` of the order less to pay, at most `cap_fen`."""

    kind: Literal["percent"] = "percent"
    percent_off: Annotated[int, Field(ge=1, le=PERCENT)]
    cap_fen: Fen | None = None


class Gift(_Part):
    """礼品券: `item` with a purchase."""

    kind: Literal["gift"] = "gift"
    item: Words


class Exchange(_Part):
    """兑换券: `item` for nothing."""

    kind: Literal["exchange"] = "exchange"
    item: Words


Worth = Annotated[AmountOff | PercentOff | Gift | Exchange, Field(discriminator="kind")]


class NewTemplate(_Part):
    """A coupon template as a marketer publishes it.

    `stock` None is unlimited. A coupon ends after `valid_days` business days, the day of claiming being the
    first, or at `valid_until`, whichever comes first. Empty `tiers` or `store_ids` mean every one.
    """

    code: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    name: Words
    worth: Worth
    min_spend_fen: Annotated[int, Field(ge=0, le=AMOUNT_MAX)] = 0
    stock: Annotated[int, Field(ge=0, le=10**9)] | None = None
    per_member_limit: Annotated[int, Field(ge=1, le=PER_MEMBER_MAX)] = 1
    claimable: bool = True
    claim_from: AwareDatetime
    claim_until: AwareDatetime | None = None
    valid_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    valid_until: AwareDatetime | None = None
    tiers: tuple[str, ...] = ()
    store_ids: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.valid_days is None and self.valid_until is None:
            raise ValueError("a coupon ends: give valid_days, valid_until or both")
        if self.claim_until is not None and self.claim_until <= self.claim_from:
            raise ValueError("claim_until is after claim_from")
        return self


def expires_at(
    claimed_at: datetime, *, valid_days: int | None, valid_until: datetime | None, zone: ZoneInfo
) -> datetime:
    """The first instant at which a coupon claimed at `claimed_at` counts no more."""
    ends = [] if valid_until is None else [valid_until]
    if valid_days is not None:
        ends.append(start_of(business_day(claimed_at, zone) + timedelta(days=valid_days), zone))
    return min(ends)


def discount_fen(worth: AmountOff | PercentOff | Gift | Exchange, order_fen: int) -> int:
    """How much less is paid for an order of `order_fen`, rounded down to whole fen; gifts change no price."""
    match worth:
        case AmountOff():
            return min(worth.off_fen, order_fen)
        case PercentOff():
            off = order_fen * worth.percent_off // PERCENT
            return off if worth.cap_fen is None else min(off, worth.cap_fen)
        case Gift() | Exchange():
            return 0
