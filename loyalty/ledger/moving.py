"""Everything that one member has of value becomes another's: lots with their ends, pending units, holds, debts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from loyalty import db
from loyalty.errors import ensure
from loyalty.ledger import queries, statements
from loyalty.ledger.lots import Lot, WalletKey
from loyalty.ledger.operations import (
    Account,
    Asset,
    Assume,
    CancelPending,
    Grant,
    Hold,
    Operation,
    Pending,
    Settle,
    TakeBack,
    Transfer,
    Void,
)
from loyalty.ledger.outcomes import Posted
from loyalty.ledger.reading import Wallets, load_lots, lock
from loyalty.ledger.service import post


async def move_everything(source_id: int, target_id: int, *, key: str, now: datetime) -> Mapping[Asset, int]:
    """Move what `source_id` has and owes to `target_id`; each part keeps its own end, holds go on as they were.

    Returns the usable units moved per asset. Lots that are already over stay and expire where they are; of a hold
    whose pinned units died meanwhile only what the survivor can cover goes on.
    """
    ensure(source_id != target_id, "a member is not merged into itself")
    assets = [Asset(row["asset"]) for row in await db.fetch(statements.ASSETS_OF, source_id)]
    await lock({(member, asset) for member in (source_id, target_id) for asset in assets})
    holds = await db.fetch(statements.OPEN_HOLDS, source_id, now)
    settle: list[Operation] = [Settle(member_id=source_id, asset=asset, occurred_at=now) for asset in assets]
    await post([*settle, *(_void(source_id, hold, key, now) for hold in holds)], now=now)
    wallets: Wallets = await lock({(source_id, asset) for asset in assets})
    await load_lots(wallets, list(wallets))
    batch: list[Operation] = []
    moved: dict[Asset, int] = {}
    for asset in assets:
        live = wallets[source_id, asset].live(now)
        moved[asset] = sum(lot.remaining for lot in live)
        batch += _moves((source_id, asset), target_id, moved[asset], wallets, key=key, now=now)
    await post(batch, now=now)
    await post([_hold_on(target_id, hold, now) for hold in holds], now=now)
    return moved


async def return_lots(
    source_id: int, target_id: int, lots: Sequence[db.Row], *, key: str, now: datetime
) -> Mapping[Asset, int]:
    """Give lots that `source_id` received back to `target_id`, as far as they are unspent; units per asset."""
    batch = [
        Transfer(
            member_id=source_id,
            to_member_id=target_id,
            asset=Asset(lot["asset"]),
            amount=lot["remaining"],
            key=f"{key}:{lot['id']}",
            occurred_at=now,
            kind="unmerge_out",
            kind_in="unmerge_in",
            lots=frozenset({lot["id"]}),
        )
        for lot in lots
    ]
    returned: dict[Asset, int] = {}
    for operation, outcome in zip(batch, await post(batch, now=now), strict=True):
        if isinstance(outcome, Posted):
            returned[operation.asset] = returned.get(operation.asset, 0) + outcome.amount
    return returned


def _void(member_id: int, hold: db.Row, key: str, now: datetime) -> Void:
    return Void(
        member_id=member_id,
        asset=Asset(hold["asset"]),
        hold_key=hold["key"],
        key=f"{key}:void:{hold['id']}",
        kind="merge_void",
        occurred_at=now,
    )


def _hold_on(member_id: int, hold: db.Row, now: datetime) -> Hold:
    return Hold(
        member_id=member_id,
        asset=Asset(hold["asset"]),
        amount=hold["amount"],
        key=hold["key"],
        kind="merge_hold",
        occurred_at=now,
        expires_at=hold["expires_at"],
    )


def _moves(
    wallet_key: WalletKey, target_id: int, usable: int, wallets: Wallets, *, key: str, now: datetime
) -> list[Operation]:
    source_id, asset = wallet_key
    wallet, into = wallets[wallet_key], {"into": target_id}
    moves: list[Operation] = []
    if usable:
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
                reason=into,
            )
        )
    for lot in wallet.lots:
        if lot.state == "pending" and not lot.is_lost(now):
            moves += _pending_move(wallet_key, target_id, lot, key=key, now=now)
    if wallet.arrears:
        moves.append(
            Assume(
                member_id=source_id,
                to_member_id=target_id,
                asset=asset,
                key=f"{key}:{asset}:owed",
                occurred_at=now,
                reason=into,
            )
        )
    return moves


def _pending_move(wallet_key: WalletKey, target_id: int, lot: Lot, *, key: str, now: datetime) -> list[Operation]:
    source_id, asset = wallet_key
    return [
        CancelPending(
            member_id=source_id,
            asset=asset,
            grant_key=lot.grant_key,
            amount=lot.remaining,
            key=f"{key}:{asset}:pending:{lot.id}",
            kind="merge_out",
            occurred_at=now,
            destination=Account.TRANSFER,
        ),
        Grant(
            member_id=target_id,
            asset=asset,
            amount=lot.remaining,
            key=f"{key}:{asset}:pending:{lot.id}:in",
            kind="merge_in",
            occurred_at=now,
            reason={"from": source_id, "lot": lot.id},
            expires_at=lot.expires_at,
            priority=lot.priority,
            promotional=lot.promotional,
            source=Account.TRANSFER,
            pending=Pending(
                activates_at=lot.activates_at,
                event=lot.event,
                cancels_at=lot.cancels_at,
                expiry=lot.expiry,
                zone=lot.zone,
            ),
            idle=lot.idle,
            grant_key=lot.grant_key,
        ),
    ]


async def forfeit(member_ids: Sequence[int], *, kind: str, now: datetime) -> None:
    """Take back everything that closed accounts still have; holds end, promises are cancelled, debts are forgiven.

    Stored value is money and stays: it was refunded before, or it is owed to whoever can claim it.
    """
    holds = await db.fetch(statements.OPEN_HOLDS_OF, list(member_ids))
    await post([_give_up(hold, kind, now) for hold in holds], now=now)
    keys = {(row["member_id"], row["asset"]): row for row in await db.fetch(statements.PROMISED, list(member_ids))}
    held = await queries.balances(member_ids, at=now)
    await post(
        [
            TakeBack(
                member_id=member_id,
                asset=asset,
                amount=left,
                key=f"{kind}:{asset}",
                kind=kind,
                occurred_at=now,
                reverses=tuple(keys[member_id, asset]["grant_keys"]) if (member_id, asset) in keys else (),
            )
            for member_id in member_ids
            for asset, balance in held[member_id].by_asset.items()
            if asset not in {Asset.PRINCIPAL, Asset.BONUS}
            and (left := balance.available + balance.arrears + balance.pending) > 0
        ],
        now=now,
    )


def _give_up(hold: db.Row, kind: str, now: datetime) -> Void:
    return Void(
        member_id=hold["member_id"],
        asset=Asset(hold["asset"]),
        hold_key=hold["key"],
        key=f"{kind}:hold:{hold['id']}",
        kind=kind,
        occurred_at=now,
    )
