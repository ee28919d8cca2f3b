"""Planning a batch: pure decisions from wallets and operations to rows. No I/O, no clock.

Lots are consumed by priority, then the earlier expiry, promotional before paid, the earlier effect,
then age; the same order serves spending and claw-back. A lot that is past its expiry is never used,
whether or not a sweep has closed it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from loyalty.errors import ensure
from loyalty.ledger.operations import (
    Account,
    Asset,
    Expire,
    Grant,
    KeyReused,
    NotEnough,
    NothingToDo,
    NothingToReverse,
    Operation,
    Reason,
    Reverse,
    Spend,
    TakeBack,
    fingerprint,
)

NEVER: Final = datetime.max.replace(tzinfo=UTC)
WalletKey = tuple[int, Asset]
EntryKey = tuple[int, str]


@dataclass(slots=True)
class Lot:
    """An open lot while a batch is planned; `key` names a lot that this very batch creates."""

    id: int | None
    entry_id: int | None
    remaining: int
    expires_at: datetime | None
    priority: int
    promotional: bool
    effective_at: datetime
    key: str | None = None

    def is_live(self, now: datetime) -> bool:
        """A lot whose expiry is now is already expired."""
        return self.expires_at is None or self.expires_at > now

    def order(self) -> tuple[object, ...]:
        """The place in the consumption order."""
        return (
            self.priority,
            self.expires_at or NEVER,
            not self.promotional,
            self.effective_at,
            self.id is None,
            self.id or 0,
        )


@dataclass(slots=True)
class Wallet:
    """One member's balance and open lots of one asset, as locked by the service."""

    available: int
    lots: list[Lot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Booked:
    """An entry that is already in the ledger."""

    id: int
    fingerprint: bytes
    amount: int
    delta: int
    balance_after: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Units that an earlier spend took from one lot and that are not given back yet, in taking order."""

    lot_id: int
    amount: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class EntryRow:
    member_id: int
    key: str
    fingerprint: bytes
    kind: str
    asset: Asset
    amount: int
    delta: int
    balance_after: int
    reverses_id: int | None
    reason: Reason
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class LotRow:
    member_id: int
    key: str
    lot: Lot
    original: int
    asset: Asset


@dataclass(frozen=True, slots=True)
class PostingRow:
    member_id: int
    key: str
    seq: int
    asset: Asset
    source: Account
    destination: Account
    amount: int
    lot_id: int | None
    lot_key: str | None


Refused = NothingToDo | NotEnough | KeyReused | NothingToReverse


@dataclass(slots=True)
class Plan:
    """Rows to write, and per operation the key of its entry, an entry booked before, or a refusal."""

    entries: dict[EntryKey, EntryRow] = field(default_factory=dict)
    lots: list[LotRow] = field(default_factory=list)
    lot_changes: dict[int, int] = field(default_factory=dict)
    postings: list[PostingRow] = field(default_factory=list)
    postings_of: dict[EntryKey, int] = field(default_factory=dict)
    deltas: dict[WalletKey, int] = field(default_factory=dict)
    results: list[tuple[EntryKey, bool] | Booked | Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class World:
    """What the service read under the lock."""

    wallets: Mapping[WalletKey, Wallet]
    booked: Mapping[EntryKey, Booked]
    slices: dict[EntryKey, list[Slice]]
    now: datetime


def plan(operations: Sequence[Operation], world: World) -> Plan:
    """Decide the whole batch in order; each operation sees the ones before it."""
    made = Plan()
    for operation in operations:
        made.results.append(_replay(operation, made, world) or _decide(operation, made, world))
    return made


def _replay(operation: Operation, made: Plan, world: World) -> tuple[EntryKey, bool] | Booked | Refused | None:
    at = (operation.member_id, operation.key)
    known = made.entries.get(at) or world.booked.get(at)
    if known is None:
        return None
    if known.fingerprint != fingerprint(operation):
        return KeyReused(key=operation.key)
    return known if isinstance(known, Booked) else (at, True)


def _decide(operation: Operation, made: Plan, world: World) -> tuple[EntryKey, bool] | Refused:
    wallet = world.wallets[operation.member_id, operation.asset]
    match operation:
        case Grant():
            return _grant(operation, wallet, made)
        case Spend():
            return _spend(operation, wallet, made, world.now)
        case TakeBack():
            return _take_back(operation, wallet, made, world)
        case Reverse():
            return _reverse(operation, wallet, made, world)
        case Expire():
            return _expire(operation, wallet, made)


def _grant(operation: Grant, wallet: Wallet, made: Plan) -> tuple[EntryKey, bool]:
    lot = Lot(
        id=None,
        entry_id=None,
        remaining=operation.amount,
        expires_at=operation.expires_at,
        priority=operation.priority,
        promotional=operation.promotional,
        effective_at=operation.effective_at or operation.occurred_at,
        key=operation.key,
    )
    wallet.lots.append(lot)
    made.lots.append(LotRow(operation.member_id, operation.key, lot, operation.amount, operation.asset))
    _post(made, operation, operation.source, Account.AVAILABLE, operation.amount, lot)
    return _book(made, operation, wallet, amount=operation.amount, delta=operation.amount)


def _spend(operation: Spend, wallet: Wallet, made: Plan, now: datetime) -> tuple[EntryKey, bool] | Refused:
    live = sorted((lot for lot in wallet.lots if lot.remaining and lot.is_live(now)), key=Lot.order)
    usable = sum(lot.remaining for lot in live)
    if usable < operation.amount:
        return NotEnough(wanted=operation.amount, available=usable)
    _consume(made, operation, operation.destination, operation.amount, live)
    return _book(made, operation, wallet, amount=operation.amount, delta=-operation.amount)


def _take_back(operation: TakeBack, wallet: Wallet, made: Plan, world: World) -> tuple[EntryKey, bool]:
    origin = world.booked.get((operation.member_id, operation.reverses_key or ""))

    def own_lot_first(lot: Lot) -> tuple[object, ...]:
        made_here = lot.key is not None and lot.key == operation.reverses_key
        is_own = made_here or (origin is not None and lot.entry_id == origin.id)
        return (not is_own, *lot.order())

    live = sorted((lot for lot in wallet.lots if lot.remaining and lot.is_live(world.now)), key=own_lot_first)
    taken = min(operation.amount, sum(lot.remaining for lot in live))
    if taken:
        _consume(made, operation, Account.CLAWED_BACK, taken, live)
    if taken < operation.amount:
        _post(made, operation, Account.FORGIVEN, Account.CLAWED_BACK, operation.amount - taken, None)
    return _book(
        made, operation, wallet, amount=operation.amount, delta=-taken, reverses_id=origin.id if origin else None
    )


def _reverse(operation: Reverse, wallet: Wallet, made: Plan, world: World) -> tuple[EntryKey, bool] | Refused:
    at = (operation.member_id, operation.reverses_key)
    origin, left = world.booked.get(at), world.slices.get(at, [])
    wanted = sum(part.amount for part in left) if operation.amount is None else operation.amount
    if origin is None or not 0 < wanted <= sum(part.amount for part in left):
        return NothingToReverse(key=operation.reverses_key)
    restored = _last_taken_first(left, wanted)
    world.slices[at] = _without(left, restored)
    for part in restored:
        lot = _lot_of(part, wallet)
        lot.remaining += part.amount
        _change_lot(made, part.lot_id, part.amount)
        _post(made, operation, Account.SPENT, Account.AVAILABLE, part.amount, lot)
    booked = _book(made, operation, wallet, amount=wanted, delta=wanted, reverses_id=origin.id)
    _expire_restored(operation, restored, wallet, made, world.now)
    return booked


def _lot_of(part: Slice, wallet: Wallet) -> Lot:
    """The lot that a part was taken from; the service reads it even when nothing is left in it."""
    return next(lot for lot in wallet.lots if lot.id == part.lot_id)


def _last_taken_first(left: Sequence[Slice], wanted: int) -> list[Slice]:
    restored = []
    for part in reversed(left):
        amount = min(part.amount, wanted)
        if amount:
            restored.append(Slice(part.lot_id, amount, part.expires_at))
            wanted -= amount
    return restored


def _without(left: Sequence[Slice], restored: Sequence[Slice]) -> list[Slice]:
    """What a later reversal of the same spend may still give back."""
    gone = {part.lot_id: part.amount for part in restored}
    rest = (Slice(part.lot_id, part.amount - gone.get(part.lot_id, 0), part.expires_at) for part in left)
    return [part for part in rest if part.amount]


def _expire_restored(operation: Reverse, restored: list[Slice], wallet: Wallet, made: Plan, now: datetime) -> None:
    """Otherwise a member would redeem and cancel to dodge an expiry."""
    for part in restored:
        if part.expires_at is not None and part.expires_at <= now:
            closing = Expire(
                member_id=operation.member_id,
                asset=operation.asset,
                lot_id=part.lot_id,
                occurred_at=operation.occurred_at,
            )
            key = f"{operation.key}:expired:{part.lot_id}"
            lot = _lot_of(part, wallet)
            lot.remaining -= part.amount
            _change_lot(made, part.lot_id, -part.amount)
            _post(made, closing, Account.AVAILABLE, Account.EXPIRED, part.amount, lot, key=key)
            _book(made, closing, wallet, amount=part.amount, delta=-part.amount, key=key)


def _expire(operation: Expire, wallet: Wallet, made: Plan) -> tuple[EntryKey, bool] | Refused:
    lot = next((lot for lot in wallet.lots if lot.id == operation.lot_id), None)
    if lot is None or not lot.remaining:
        return NothingToDo()
    ensure(lot.expires_at is not None and lot.expires_at <= operation.occurred_at, "only what is over expires")
    amount = lot.remaining
    _consume(made, operation, Account.EXPIRED, amount, [lot])
    return _book(made, operation, wallet, amount=amount, delta=-amount)


def _consume(made: Plan, operation: Operation, destination: Account, amount: int, lots: Sequence[Lot]) -> None:
    left = amount
    for lot in lots:
        taken = min(lot.remaining, left)
        if not taken:
            continue
        lot.remaining -= taken
        left -= taken
        if lot.id is not None:
            _change_lot(made, lot.id, -taken)
        _post(made, operation, Account.AVAILABLE, destination, taken, lot)
    ensure(left == 0, "the caller made sure that the lots suffice")


def _change_lot(made: Plan, lot_id: int, amount: int) -> None:
    made.lot_changes[lot_id] = made.lot_changes.get(lot_id, 0) + amount


def _post(
    made: Plan,
    operation: Operation,
    source: Account,
    destination: Account,
    amount: int,
    lot: Lot | None,
    *,
    key: str | None = None,
) -> None:
    entry_key = key or operation.key
    at = (operation.member_id, entry_key)
    seq = made.postings_of[at] = made.postings_of.get(at, -1) + 1
    made.postings.append(
        PostingRow(
            operation.member_id,
            entry_key,
            seq,
            operation.asset,
            source,
            destination,
            amount,
            lot.id if lot is not None else None,
            lot.key if lot is not None else None,
        )
    )


def _book(
    made: Plan,
    operation: Operation,
    wallet: Wallet,
    *,
    amount: int,
    delta: int,
    reverses_id: int | None = None,
    key: str | None = None,
) -> tuple[EntryKey, bool]:
    wallet.available += delta
    at = (operation.member_id, key or operation.key)
    wallet_key = (operation.member_id, operation.asset)
    made.deltas[wallet_key] = made.deltas.get(wallet_key, 0) + delta
    made.entries[at] = EntryRow(
        member_id=operation.member_id,
        key=at[1],
        fingerprint=fingerprint(operation),
        kind="expire" if isinstance(operation, Expire) else operation.kind,
        asset=operation.asset,
        amount=amount,
        delta=delta,
        balance_after=wallet.available,
        reverses_id=reverses_id,
        reason={} if isinstance(operation, Expire) else operation.reason,
        occurred_at=operation.occurred_at,
    )
    return at, False
