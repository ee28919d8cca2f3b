"""Everything that one member has of value becomes another's: lots with their ends, pending units, holds, debts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from loyalty import db
from loyalty.errors import ensure
from loyalty.ledger import queries, statements
from loyalty.ledger.lots import Lot, Wallet, WalletKey
from loyalty.ledger.operations import (
    Asset,
    Assume,
    CancelPending,
    Forgive,
    MoveHold,
    MovePending,
    Operation,
    Settle,
    TakeBack,
    Transfer,
    Void,
)
from loyalty.ledger.outcomes import Posted
from loyalty.ledger.reading import Wallets, load_lots, lock
from loyalty.ledger.replay import AssetBalance
from loyalty.ledger.service import post


async def move_everything(source_id: int, target_id: int, *, key: str, now: datetime) -> Mapping[Asset, int]:
    """Move what `source_id` has and owes to `target_id`: each part keeps its own end, holds keep their key and the
    very units that they pin.

    Returns the usable units moved per asset. Lots that are already over stay and expire where they are.
    """
    ensure(source_id != target_id, "a member is not merged into itself")
    assets = [Asset(row["asset"]) for row in await db.fetch(statements.ASSETS_OF, source_id)]
    wallets = await _settled([source_id, target_id], assets, now)
    holds = await db.fetch(statements.OPEN_HOLDS, source_id)
    batch: list[Operation] = [_hold_move(source_id, target_id, hold, key=key, now=now) for hold in holds]
    for asset in assets:
        batch += _moves((source_id, asset), target_id, wallets[source_id, asset], key=key, now=now)
    usable = {asset: sum(lot.remaining for lot in wallets[source_id, asset].live(now)) for asset in assets}
    await post(batch, now=now)
    return usable


async def _settled(member_ids: Sequence[int], assets: Sequence[Asset], now: datetime) -> Wallets:
    """The wallets of these members, locked, with everything booked that time has decided."""
    keys = {(member_id, asset) for member_id in member_ids for asset in assets}
    await lock(keys)
    await post([Settle(member_id=member_id, asset=asset, occurred_at=now) for member_id, asset in keys], now=now)
    wallets = await lock(keys)
    await load_lots(wallets, keys)
    return wallets


async def return_everything(
    source_id: int, target_id: int, *, moved_by: str, key: str, now: datetime
) -> Mapping[Asset, int]:
    """Give back to `target_id` what `source_id` received under keys that begin with `moved_by` and still has: usable
    and promised units, open holds, debts. Returns the usable units per asset."""
    assets = [Asset(row["asset"]) for row in await db.fetch(statements.ASSETS_OF, source_id)]
    wallets = await _settled([source_id, target_id], assets, now)
    received = {row["id"] for row in await db.fetch(statements.RECEIVED_LOTS, source_id, moved_by)}
    holds = await db.fetch(statements.RECEIVED_HOLDS, source_id, moved_by)
    batch: list[Operation] = [
        _hold_move(source_id, target_id, hold, key=key, now=now, kind="unmerge") for hold in holds
    ]
    for asset in assets:
        lots = [lot for lot in wallets[source_id, asset].lots if lot.id in received]
        batch += _returns((source_id, asset), target_id, lots, key=key, now=now)
    for owed in await db.fetch(statements.RECEIVED_DEBTS, source_id, moved_by):
        batch.append(_debt_back(source_id, target_id, owed, key=key, now=now))
    returned: dict[Asset, int] = {}
    for operation, outcome in zip(batch, await post(batch, now=now), strict=True):
        if isinstance(outcome, Posted) and isinstance(operation, Transfer):
            returned[operation.asset] = returned.get(operation.asset, 0) + outcome.amount
    return returned


def _returns(wallet_key: WalletKey, target_id: int, lots: Sequence[Lot], *, key: str, now: datetime) -> list[Operation]:
    source_id, asset = wallet_key
    returns: list[Operation] = [
        _pending_move(wallet_key, target_id, lot, key=key, now=now, kind="unmerge")
        for lot in lots
        if lot.state == "pending"
    ]
    returns += [
        Transfer(
            member_id=source_id,
            to_member_id=target_id,
            asset=asset,
            amount=lot.remaining,
            key=f"{key}:{lot.id}",
            occurred_at=now,
            kind="unmerge_out",
            kind_in="unmerge_in",
            lots=frozenset({lot.id or 0}),
        )
        for lot in lots
        if lot.is_live(now)
    ]
    return returns


def _debt_back(source_id: int, target_id: int, owed: db.Row, *, key: str, now: datetime) -> Assume:
    return Assume(
        member_id=source_id,
        to_member_id=target_id,
        asset=Asset(owed["asset"]),
        key=f"{key}:{owed['asset']}:owed",
        occurred_at=now,
        amount=owed["amount"],
    )


def _hold_move(
    member_id: int, target_id: int, hold: db.Row, *, key: str, now: datetime, kind: str = "merge"
) -> MoveHold:
    return MoveHold(
        member_id=member_id,
        to_member_id=target_id,
        asset=Asset(hold["asset"]),
        hold_key=hold["key"],
        key=f"{key}:hold:{hold['id']}",
        occurred_at=now,
        kind=f"{kind}_out",
        kind_in=f"{kind}_in",
    )


def _moves(wallet_key: WalletKey, target_id: int, wallet: Wallet, *, key: str, now: datetime) -> list[Operation]:
    source_id, asset = wallet_key
    moves: list[Operation] = []
    if usable := sum(lot.remaining for lot in wallet.live(now)):
        moves.append(
            Transfer(
                member_id=source_id,
                to_member_id=target_id,
                asset=asset,
                amount=usable,
                key=f"{key}:{asset}",
                occurred_at=now,
                kind="merge_out",
                kind_in="merge_in",
                reason={"into": target_id},
            )
        )
    moves += [
        _pending_move(wallet_key, target_id, lot, key=key, now=now) for lot in wallet.lots if lot.state == "pending"
    ]
    if wallet.arrears:
        moves.append(
            Assume(
                member_id=source_id,
                to_member_id=target_id,
                asset=asset,
                key=f"{key}:{asset}:owed",
                occurred_at=now,
                reason={"into": target_id},
            )
        )
    return moves


def _pending_move(
    wallet_key: WalletKey, target_id: int, lot: Lot, *, key: str, now: datetime, kind: str = "merge"
) -> MovePending:
    source_id, asset = wallet_key
    ensure(lot.id is not None, "promised units are read from the database")
    return MovePending(
        member_id=source_id,
        to_member_id=target_id,
        asset=asset,
        lot_id=lot.id or 0,
        key=f"{key}:{asset}:pending:{lot.id}",
        occurred_at=now,
        kind=f"{kind}_out",
        kind_in=f"{kind}_in",
    )


async def forfeit(member_ids: Sequence[int], *, kind: str, now: datetime) -> None:
    """Take back everything that closed accounts still have; holds end, promises are cancelled, debts are forgiven.

    Stored value is money and stays: it was refunded before, or it is owed to whoever can claim it.
    """
    holds = await db.fetch(statements.OPEN_HOLDS_OF, list(member_ids))
    await post([_give_up(hold, kind, now) for hold in holds], now=now)
    promised = await db.fetch(statements.PROMISED, list(member_ids))
    await post([_cancelled(row, kind, now) for row in promised], now=now)
    batch: list[Operation] = []
    for member_id, balances in (await queries.balances(member_ids, at=now)).items():
        for asset, left in balances.by_asset.items():
            if asset not in {Asset.PRINCIPAL, Asset.BONUS}:
                batch += _taken_and_forgiven(member_id, asset, left, kind, now)
    await post(batch, now=now)


def _taken_and_forgiven(member_id: int, asset: Asset, left: AssetBalance, kind: str, now: datetime) -> list[Operation]:
    batch: list[Operation] = []
    if (usable := left.available + left.arrears) > 0:
        batch.append(
            TakeBack(member_id=member_id, asset=asset, amount=usable, key=f"{kind}:{asset}", kind=kind, occurred_at=now)
        )
    if left.arrears:
        batch.append(Forgive(member_id=member_id, asset=asset, key=f"{kind}:{asset}:owed", kind=kind, occurred_at=now))
    return batch


def _give_up(hold: db.Row, kind: str, now: datetime) -> Void:
    return Void(
        member_id=hold["member_id"],
        asset=Asset(hold["asset"]),
        hold_key=hold["key"],
        key=f"{kind}:hold:{hold['id']}",
        kind=kind,
        occurred_at=now,
    )


def _cancelled(promised: db.Row, kind: str, now: datetime) -> CancelPending:
    return CancelPending(
        member_id=promised["member_id"],
        asset=Asset(promised["asset"]),
        grant_key=promised["grant_key"],
        key=f"{kind}:pending:{promised['id']}",
        kind=kind,
        occurred_at=now,
    )
