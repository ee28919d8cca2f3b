"""Units that come back: to their own lots, dying where those are dead, paying what is owed. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from loyalty.errors import ensure
from loyalty.ledger.booking import Entry, Plan, restate
from loyalty.ledger.lots import Slice, Wallet, World
from loyalty.ledger.operations import Account, Expire, Operation


def give_back(entry: Entry, slices: Sequence[Slice], source: Account) -> None:
    """Units go back to the lots they came from."""
    for part in slices:
        entry.change(part.lot, part.amount)
        entry.post(source, Account.AVAILABLE, part.amount, part.lot)
        if part.lot.renewed:
            restate(entry.made, part.lot, part.lot.state)


def last_taken_first(left: Sequence[Slice], wanted: int) -> list[Slice]:
    """Which slices come back: what stays consumed is the beginning of what was taken."""
    restored = []
    for part in reversed(left):
        amount = min(part.amount, wanted)
        if amount:
            restored.append(Slice(part.lot, amount))
            wanted -= amount
    return restored


def without(left: Sequence[Slice], restored: Sequence[Slice]) -> list[Slice]:
    """What a later reversal of the same spend may still give back."""
    gone = {id(part.lot): part.amount for part in restored}
    rest = (Slice(part.lot, part.amount - gone.get(id(part.lot), 0)) for part in left)
    return [part for part in rest if part.amount]


def expire_dead(operation: Operation, returned: Sequence[Slice], wallet: Wallet, made: Plan, world: World) -> None:
    """Units that came back to a lot whose time is over expire in the same transaction, each as a visible row."""
    for part in returned:
        if part.lot.expires_at is not None and part.lot.expires_at <= world.now:
            ensure(part.lot.id is not None, "a lot lives longer than the batch that made it")
            closing = Expire(
                member_id=operation.member_id,
                asset=operation.asset,
                lot_id=part.lot.id or 0,
                occurred_at=max(part.lot.expires_at, operation.occurred_at),
            )
            entry = Entry(made, closing, wallet, key=f"{operation.key}:expired:{part.lot.id}")
            entry.consume(Account.EXPIRED, part.amount, [part.lot])
            entry.end_unused(part.lot, part.amount)
            entry.book(amount=part.amount)


def repay(operation: Operation, wallet: Wallet, made: Plan, world: World) -> None:
    """What a member owes is paid from whatever becomes usable, by a row of its own that names its cause."""
    if not wallet.arrears:
        return
    live = wallet.live(world.now)
    paid = min(wallet.arrears, sum(lot.remaining for lot in live))
    if paid:
        entry = Entry(
            made, replace(operation, reason={"repays_from": operation.key}), wallet, key=_repay_key(operation)
        )
        entry.consume(Account.ARREARS, paid, live)
        entry.book(amount=paid, kind="repay")


def _repay_key(operation: Operation) -> str:
    return f"{operation.key}:repay"
