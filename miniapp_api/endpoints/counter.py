"""What tills need, whoever stands behind them: finding a member, and the member as a server may see them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from loyalty.counter.service import ByCode, ByNumber, ByPhone, Clue
from loyalty.ladders.rules import Ladders
from loyalty.members.queries import MemberCard
from miniapp_api.endpoint import Body
from miniapp_api.endpoints.me import Tier, tier_of
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
