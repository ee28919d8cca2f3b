"""What tills need, whoever stands behind them: finding a member, and the member as a server may see them."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from loyalty.counter.service import ByCode, ByNumber, ByPhone, Clue
from loyalty.ladders import queries as ladders
from loyalty.ladders.rules import MAIN, Ladders, best_of
from loyalty.members.queries import MemberCard
from loyalty.tiers import queries as tiers
from loyalty.tiers.queries import Standing
from miniapp_api.endpoint import Body
from miniapp_api.endpoints.me import Tier, tier_of, tier_view
from miniapp_api.endpoints.tiers import TierBenefits, benefits_view
from templates.words import Locale

Fen = Annotated[int, Field(ge=0, le=10**12, examples=[12800])]
ExternalId = Annotated[str, Field(min_length=1, max_length=80, examples=["POS-20261121-0042"])]


class Lookup(Body):
    """Exactly one clue: the phone a customer says, the rotating code they show, or their member number."""

    phone: Annotated[str, Field(min_length=5, max_length=64)] | None = None
    code: Annotated[str, Field(min_length=6, max_length=40)] | None = None
    number: Annotated[str, Field(min_length=6, max_length=20)] | None = None

    @model_validator(mode="after")
    def _one_clue(self) -> "Lookup":
        if sum(clue is not None for clue in (self.phone, self.code, self.number)) != 1:
            raise ValueError("exactly one of phone, code, number")
        return self

    @property
    def clue(self) -> Clue:
        """The clue that is given."""
        if self.phone is not None:
            return ByPhone(self.phone)
        return ByCode(self.code) if self.code is not None else ByNumber(self.number or "")


@dataclass(frozen=True, slots=True)
class Served:
    """A member as a server sees them: name and phone are masked. `id` names them in the requests that follow."""

    id: UUID
    number: str
    name: str | None
    phone: str | None
    status: str
    tier: Tier
    points: int
    growth: int
    registered_at: datetime | None


@dataclass(frozen=True, slots=True)
class TierAtTill:
    """A tier that the customer holds on one ladder: what it gives, until when (null: for good), what is missing to keep
    it, and whether somebody set it by hand."""

    ladder: str
    tier: Tier
    until: datetime | None
    gap: int
    set_by_hand: bool
    benefits: TierBenefits


@dataclass(frozen=True, slots=True)
class CustomerAtTill(Served):
    """A customer with their tiers. `benefits` is of every benefit the better one: what the till applies."""

    tiers: tuple[TierAtTill, ...]
    benefits: TierBenefits


async def at_till(card: MemberCard, *, now: datetime, locale: Locale) -> CustomerAtTill:
    """A card with what the customer's tiers give."""
    programme = await ladders.in_force(now)
    standings = await tiers.standings_on([card.id], at=now, ladder=None)
    held = [standings[card.id, code] for code in programme.by_code if (card.id, code) in standings]
    plain = served(card, programme, locale)
    own = next((one.tier for one in held if one.ladder.code == MAIN), None)
    return CustomerAtTill(
        **{
            **{field.name: getattr(plain, field.name) for field in fields(plain)},
            "tier": plain.tier if own is None else tier_view(own, locale),
        },
        tiers=tuple(_tier_at_till(one, locale) for one in held),
        benefits=benefits_view(best_of(one.tier.benefits for one in held), locale),
    )


def _tier_at_till(standing: Standing, locale: Locale) -> TierAtTill:
    return TierAtTill(
        ladder=standing.ladder.code,
        tier=tier_view(standing.tier, locale),
        until=standing.pin.until if standing.pin else standing.until,
        gap=standing.gap,
        set_by_hand=standing.pin is not None,
        benefits=benefits_view(standing.tier.benefits, locale),
    )


def served(card: MemberCard, programme: Ladders, locale: Locale) -> Served:
    """A card without what the counter does not need."""
    return Served(
        id=card.public_id,
        number=card.number,
        name=card.name_masked,
        phone=card.phone_masked,
        status=card.status,
        tier=tier_of(card.tier, programme, locale),
        points=card.points,
        growth=card.growth,
        registered_at=card.registered_at,
    )
