"""What a batch is planned on: wallets with their lots and holds, as locked by the service. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from loyalty.ledger.operations import Asset, HoldState, Idle

NEVER: Final = datetime.max.replace(tzinfo=UTC)
WalletKey = tuple[int, Asset]
EntryKey = tuple[int, str]
Version = tuple[int, int]
LotState = Literal["active", "pending", "cancelled", "closed"]


@dataclass(slots=True)
class Lot:
    """Units that came together; `place` is that of the entry of this very batch that makes it, `grant_key` names the
    grant it is of.

    `is_moved` when they came from another member. `unused` are units that ended without having been used (expired,
    lapsed) and that no claw-back counted yet. `renewed` is set where activities moved the end of an inactivity
    programme's lot while nothing was left in it.
    """

    id: int | None
    remaining: int
    expires_at: datetime | None
    priority: int
    promotional: bool
    effective_at: datetime
    grant_key: str
    place: int | None = None
    state: LotState = "active"
    activates_at: datetime | None = None
    event: str | None = None
    cancels_at: datetime | None = None
    expiry: Mapping[str, Any] | None = None
    zone: str = ""
    idle: Idle | None = None
    unused: int = 0
    is_moved: bool = False
    renewed: bool = False

    def is_live(self, now: datetime) -> bool:
        """A lot whose expiry is now is already expired."""
        return self.state == "active" and (self.expires_at is None or self.expires_at > now)

    def is_due(self, now: datetime) -> bool:
        """A pending lot that has become usable by itself."""
        return self.state == "pending" and self.activates_at is not None and self.activates_at <= now

    def is_lost(self, now: datetime) -> bool:
        """A pending lot whose event did not come in time."""
        return self.state == "pending" and self.cancels_at is not None and self.cancels_at <= now

    def order(self) -> tuple[object, ...]:
        """The place in the consumption order: priority, the earlier end, promotional before paid, the earlier
        effect, then age."""
        return (
            self.priority,
            self.expires_at or NEVER,
            not self.promotional,
            self.effective_at,
            self.id is None,
            self.id or 0,
        )


@dataclass(frozen=True, slots=True)
class Slice:
    """Units that were taken from one lot."""

    lot: Lot
    amount: int


@dataclass(slots=True)
class Held:
    """A hold with the slices it pins, in taking order."""

    id: int | None
    key: str
    amount: int
    state: HoldState
    expires_at: datetime
    slices: list[Slice] = field(default_factory=list)

    def is_over(self, now: datetime) -> bool:
        """An open hold ends by itself."""
        return self.state == "open" and self.expires_at <= now


@dataclass(slots=True)
class Wallet:
    """One member's balance, lots and holds of one asset; `version` is that of the locked row, `is_idle` once an
    inactivity programme had lots in it."""

    version: Version
    available: int
    pending: int
    held: int
    arrears: int
    is_idle: bool = False
    lots: list[Lot] = field(default_factory=list)
    holds: list[Held] = field(default_factory=list)
    is_changed: bool = False

    def live(self, now: datetime) -> list[Lot]:
        """Usable lots in consumption order."""
        return sorted((lot for lot in self.lots if lot.remaining and lot.is_live(now)), key=Lot.order)

    def waiting(self, grant_key: str) -> list[Lot]:
        """Pending lots of one grant."""
        return [lot for lot in self.lots if lot.state == "pending" and lot.grant_key == grant_key and lot.remaining]


@dataclass(frozen=True, slots=True)
class Booked:
    """An entry that is already in the ledger."""

    id: int
    fingerprint: bytes
    amount: int
    delta: int
    balance_after: int
    pending_delta: int
    held_delta: int
    arrears_delta: int


@dataclass(frozen=True, slots=True)
class World:
    """What the service read under the lock. `taken` is what each spend still could give back, `holds` are those
    that the batch names."""

    wallets: Mapping[WalletKey, Wallet]
    booked: Mapping[EntryKey, Booked]
    taken: dict[EntryKey, list[Slice]]
    holds: Mapping[EntryKey, Held]
    now: datetime
