"""The ledger's vocabulary: what may be asked of it and what it answers. Values only."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from loyalty.errors import Conflict, NotFound, ensure
from loyalty.money import AMOUNT_MAX


class Asset(StrEnum):
    """What the ledger keeps count of. Growth value (成长值) decides the tier and is never spent."""

    POINTS = "points"
    GROWTH = "growth"


class Account(StrEnum):
    """The accounts of one member and one asset; every posting moves units from one to another.

    `available` is what the member has. The others are the programme's side, kept per member so that no
    row is shared by everybody: their totals are sums over members.
    """

    AVAILABLE = "available"
    ISSUED = "issued"
    SPENT = "spent"
    EXPIRED = "expired"
    CLAWED_BACK = "clawed_back"
    FORGIVEN = "forgiven"
    TRANSFER = "transfer"


Reason = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Give `amount` units as one lot; it is consumed before lots that expire later."""

    member_id: int
    asset: Asset
    amount: int
    key: str
    kind: str
    occurred_at: datetime
    reason: Reason = field(default_factory=dict)
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    priority: int = 0
    promotional: bool = True
    source: Account = Account.ISSUED


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Take exactly `amount` units or refuse with `NotEnough`."""

    member_id: int
    asset: Asset
    amount: int
    key: str
    kind: str
    occurred_at: datetime
    reason: Reason = field(default_factory=dict)
    destination: Account = Account.SPENT


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack:
    """Claw back up to `amount`: first from the lot of `reverses_key`, then in spending order; what the
    member no longer has is booked as forgiven, never silently dropped."""

    member_id: int
    asset: Asset
    amount: int
    key: str
    kind: str
    occurred_at: datetime
    reason: Reason = field(default_factory=dict)
    reverses_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """Give back `amount` (default: all that is left) of an earlier spend, to the very lots it came from,
    last taken first. A lot that died meanwhile is given back and expires in the same transaction."""

    member_id: int
    asset: Asset
    key: str
    reverses_key: str
    kind: str
    occurred_at: datetime
    amount: int | None = None
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire:
    """Close one lot whose time is over."""

    member_id: int
    asset: Asset
    lot_id: int
    occurred_at: datetime

    @property
    def key(self) -> str:
        """A lot expires once."""
        return f"expire:{self.lot_id}"


Operation = Grant | Spend | TakeBack | Reverse | Expire


@dataclass(frozen=True, slots=True)
class Posted:
    """It is booked. `delta` is the signed change of the available balance, `balance` what it was then."""

    entry_id: int
    amount: int
    delta: int
    balance: int
    replayed: bool = False

    @property
    def forgiven(self) -> int:
        """Units of a claw-back that the member no longer had."""
        return max(0, self.amount + self.delta) if self.delta <= 0 else 0


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """The operation found nothing left to move (a lot already used up or expired)."""


class NotEnough(Conflict):
    """The member has fewer usable units than asked."""

    code = "ledger.not_enough"


class KeyReused(Conflict):
    """The operation key was used before for another operation."""

    code = "ledger.key_reused"


class NothingToReverse(NotFound):
    """The entry to reverse does not exist, or more was asked back than is left of it."""

    code = "ledger.nothing_to_reverse"


Outcome = Posted | NothingToDo | NotEnough | KeyReused | NothingToReverse

FINGERPRINT_BYTES: Final = 16


def fingerprint(operation: Operation) -> bytes:
    """What makes two operations the same question: kind of operation, asset, amount, target."""
    match operation:
        case Expire():
            asked: tuple[object, ...] = ("expire", operation.lot_id)
        case Reverse():
            asked = ("reverse", operation.asset, operation.reverses_key, operation.amount)
        case _:
            asked = (type(operation).__name__, operation.asset, operation.amount, operation.kind)
    return hashlib.blake2b(repr(asked).encode(), digest_size=FINGERPRINT_BYTES).digest()


def check(operation: Operation) -> None:
    """Refuse amounts that no verb may ask for; a failure is our bug, not the member's."""
    if not isinstance(operation, Expire) and operation.amount is not None:
        ensure(0 < operation.amount <= AMOUNT_MAX, "amounts are positive and bounded; direction is the operation")
    if isinstance(operation, Grant) and operation.expires_at is not None:
        ensure(operation.expires_at > (operation.effective_at or operation.occurred_at), "a lot lives forward")
