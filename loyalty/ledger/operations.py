"""The ledger's vocabulary: what may be asked of it. Values only; `outcomes` has what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal


class Asset(str):
    """What the ledger keeps count of.

    Growth value (成长值) decides the tier and is never spent. Principal and bonus are the two halves of stored
    value (储值), in fen. Further kinds of points are declared in the terms and named `points:<code>`.
    """

    __slots__ = ()
    POINTS: ClassVar["Asset"]
    GROWTH: ClassVar["Asset"]
    PRINCIPAL: ClassVar["Asset"]
    BONUS: ClassVar["Asset"]

    @classmethod
    def points_of(cls, kind: str) -> "Asset":
        """The asset of a further kind of points."""
        return cls(f"points:{kind}")


Asset.POINTS = Asset("points")
Asset.GROWTH = Asset("growth")
Asset.PRINCIPAL = Asset("principal")
Asset.BONUS = Asset("bonus")
ASSETS: Final = (Asset.POINTS, Asset.GROWTH, Asset.PRINCIPAL, Asset.BONUS)
"""Those that every member has an account of from the start."""


class Account(StrEnum):
    """The accounts of one member and one asset; every posting moves units from one to another.

    The first four hold what is the member's: usable, not usable yet, reserved, and (with the opposite sign) owed.
    The others are the programme's side, kept per member so that no row is shared by everybody. `lapsed` are promised
    units whose event never came, `cancelled` those that were taken back before they became usable.
    """

    AVAILABLE = "available"
    PENDING = "pending"
    HELD = "held"
    ARREARS = "arrears"
    ISSUED = "issued"
    GOODWILL = "goodwill"
    SPENT = "spent"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"
    CLAWED_BACK = "clawed_back"
    FORGIVEN = "forgiven"
    TRANSFER = "transfer"


Reason = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Units that are promised and not usable yet: from `activates_at` on by themselves, or when `event` is
    told to the ledger (`Activate`), and never after `cancels_at`.

    The validity clock of event-activated units starts then: `expiry` is the rule (a document of
    `loyalty.expiry.Expiry`) and `zone` its calendar.
    """

    activates_at: datetime | None = None
    event: str | None = None
    cancels_at: datetime | None = None
    expiry: Mapping[str, Any] | None = None
    zone: str = "Asia/Shanghai"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Units that end after `months` without one of `activities`: "earn", "spend", or the kind of an operation that
    gives or takes units ("purchase", "check_in" …)."""

    months: int
    activities: frozenset[str]
    zone: str = "Asia/Shanghai"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Give `amount` units as one lot; arrears are repaid from it first."""

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
    pending: Pending | None = None
    idle: Idle | None = None
    grant_key: str | None = None
    """What this lot is known by when it is activated, cancelled or clawed back; `key` unless it was moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """The event that pending units of `grant_key` wait for has come: they are usable from now on, or, where it
    begins a return window, by themselves from `activates_at` on."""

    member_id: int
    asset: Asset
    grant_key: str
    key: str
    occurred_at: datetime
    activates_at: datetime | None = None
    kind: str = "activate"
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPending:
    """Take back up to `amount` (default: all) of the pending units of `grant_key`; nothing usable changes."""

    member_id: int
    asset: Asset
    grant_key: str
    key: str
    occurred_at: datetime
    amount: int | None = None
    kind: str = "pending_cancelled"
    reason: Reason = field(default_factory=dict)
    destination: Account = Account.CANCELLED


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
class Hold:
    """Reserve exactly `amount` units until `expires_at`, or refuse with `NotEnough`. The lots it takes from are
    pinned: their own end does not reach reserved units before the hold's."""

    member_id: int
    asset: Asset
    amount: int
    key: str
    kind: str
    occurred_at: datetime
    expires_at: datetime
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Spend `amount` (default: all) of a hold; the rest becomes usable again. A hold is resolved once."""

    member_id: int
    asset: Asset
    hold_key: str
    key: str
    kind: str
    occurred_at: datetime
    amount: int | None = None
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """Give a hold up: everything reserved becomes usable again."""

    member_id: int
    asset: Asset
    hold_key: str
    key: str
    occurred_at: datetime
    kind: str = "void"
    reason: Reason = field(default_factory=dict)


class Claw(StrEnum):
    """How far a claw-back reaches."""

    ONLY_PENDING = "only_pending"
    WITHIN_BALANCE = "within_balance"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class ClawBack:
    """The policy of a claw-back; under ALLOW the member owes what is short, up to `cap` in all."""

    mode: Claw = Claw.WITHIN_BALANCE
    cap: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack:
    """Claw back up to `amount` of what the grants `reverses` gave: their pending units first, then what of them ended
    unused (it lapsed or expired: nobody has it, so nobody loses it twice), then by `policy` their own usable units and
    others in spending order. What the policy cannot reach is booked as forgiven, never silently dropped."""

    member_id: int
    asset: Asset
    amount: int
    key: str
    kind: str
    occurred_at: datetime
    reason: Reason = field(default_factory=dict)
    reverses: tuple[str, ...] = ()
    policy: ClawBack = ClawBack()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grace:
    """Units that come back to a lot that died are given anew, at the programme's cost, until `expires_at`."""

    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """Give back `amount` (default: all that is left) of an earlier spend or capture, to the very lots it came
    from, last taken first. A lot that died meanwhile is given back and expires in the same transaction, so that
    nobody redeems and cancels to dodge an expiry; `grace` gives such units anew."""

    member_id: int
    asset: Asset
    key: str
    reverses_key: str
    kind: str
    occurred_at: datetime
    amount: int | None = None
    reason: Reason = field(default_factory=dict)
    grace: Grace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Move exactly `amount` units to another member; each part keeps its own expiry. `lots` are the only ones to
    take from, where given."""

    member_id: int
    to_member_id: int
    asset: Asset
    amount: int
    key: str
    occurred_at: datetime
    kind: str = "transfer_out"
    kind_in: str = "transfer_in"
    lots: frozenset[int] = frozenset()
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire:
    """Close one lot whose time is over."""

    member_id: int
    asset: Asset
    lot_id: int
    occurred_at: datetime
    kind: str = "expire"
    reason: Reason = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A lot expires once for what it held; what comes back later expires under the key of its return."""
        return f"expire:{self.lot_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Book what time alone has decided about a wallet: holds that ended, pending units that became usable."""

    member_id: int
    asset: Asset
    occurred_at: datetime
    kind: str = "settle"
    reason: Reason = field(default_factory=dict)

    @property
    def key(self) -> str:
        """It has no entry of its own."""
        return f"settle:{self.asset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assume:
    """Another member takes over what this one owes (a merge), at most `amount`."""

    member_id: int
    to_member_id: int
    asset: Asset
    key: str
    occurred_at: datetime
    amount: int | None = None
    kind: str = "assumed_out"
    kind_in: str = "assumed_in"
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveHold:
    """An open hold goes to another member with the very units that it pins, whether or not their time is over."""

    member_id: int
    to_member_id: int
    asset: Asset
    hold_key: str
    key: str
    occurred_at: datetime
    kind: str = "merge_out"
    kind_in: str = "merge_in"
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePending:
    """Promised units of one lot go to another member and wait there for the same."""

    member_id: int
    to_member_id: int
    asset: Asset
    lot_id: int
    key: str
    occurred_at: datetime
    kind: str = "merge_out"
    kind_in: str = "merge_in"
    reason: Reason = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgive:
    """Write off what the member owes, at most `amount`."""

    member_id: int
    asset: Asset
    key: str
    occurred_at: datetime
    amount: int | None = None
    kind: str = "forgiven"
    reason: Reason = field(default_factory=dict)


Operation = (
    Grant
    | Spend
    | TakeBack
    | Reverse
    | Expire
    | Hold
    | Capture
    | Void
    | Activate
    | CancelPending
    | Transfer
    | Assume
    | MoveHold
    | MovePending
    | Forgive
    | Settle
)
Moving = Transfer | Assume | MoveHold | MovePending
"""Those that touch the wallets of two members."""


HoldState = Literal["open", "captured", "voided", "expired", "moved"]
