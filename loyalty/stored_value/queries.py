"""Stored value as members, clerks and finance see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.ledger import queries as ledger_read
from loyalty.ledger.operations import Asset
from loyalty.program.terms import Terms
from loyalty.stored_value.rules import Slice

COLUMNS: Final = (
    "id, member_id, key, source, paid_fen, bonus_fen, evidence, terms_version, store_id, staff_id, status, paid_at,"
    " recorded_at"
)
_TAKEN: Final = """
SELECT part.slice_id, part.principal_fen + part.bonus_fen AS taken_fen, use.amount_fen, use.list_fen
FROM stored_part part JOIN stored_use use ON use.id = part.use_id WHERE part.slice_id = ANY($1)
"""
_LEFT: Final = """
SELECT grant_key, sum(remaining)::bigint AS remaining FROM ledger_lot
WHERE member_id = ANY($1) AND asset IN ('principal', 'bonus') AND remaining > 0 GROUP BY grant_key
"""
_QUARTER: Final = """
SELECT
    topped.paid, topped.bonus, topped.top_ups, given.paid_out, given.payouts
FROM (
    SELECT coalesce(sum(paid_fen), 0)::bigint AS paid, coalesce(sum(bonus_fen), 0)::bigint AS bonus, count(*) AS top_ups
    FROM stored_slice WHERE recorded_at >= $1 AND recorded_at < $2
) AS topped, (
    SELECT coalesce(sum(principal_fen + interest_fen), 0)::bigint AS paid_out, count(*) AS payouts
    FROM stored_payout WHERE paid_out_at >= $1 AND paid_out_at < $2
) AS given
"""
_FLOWS: Final = """
SELECT entry.asset,
       sum(posting.amount * ((posting.destination = ANY($3))::int - (posting.source = ANY($3))::int))::bigint
           AS closing,
       coalesce(sum(posting.amount * ((posting.destination = 'spent')::int - (posting.source = 'spent')::int))
           FILTER (WHERE entry.booked_at >= $1), 0)::bigint AS used
FROM ledger_entry entry
JOIN ledger_posting posting ON posting.entry_id = entry.id AND posting.member_id = entry.member_id
WHERE entry.asset IN ('principal', 'bonus') AND entry.booked_at < $2 GROUP BY entry.asset
"""
_OURS: Final = ("available", "pending", "held")


def grant_key(slice_id: int, asset: Asset) -> str:
    """What the ledger calls the units of a top-up."""
    return f"stored:{slice_id}:{asset}"


@dataclass(frozen=True, slots=True)
class SliceView:
    """One top-up; `left_fen` is what of it (paid and bonus) was not used yet."""

    id: int
    member_id: int
    key: str
    source: str
    paid_fen: int
    bonus_fen: int
    evidence: Mapping[str, Any]
    terms_version: int
    store_id: int | None
    staff_id: int | None
    status: str
    paid_at: datetime
    recorded_at: datetime
    principal_left_fen: int = 0
    bonus_left_fen: int = 0
    consumed_fen: int = 0
    list_fen: int = 0

    def as_rule(self, paid_on: date) -> Slice:
        """The top-up as the law's arithmetic sees it."""
        return Slice(
            paid_fen=self.paid_fen,
            bonus_fen=self.bonus_fen,
            consumed_fen=self.consumed_fen,
            list_fen=self.list_fen,
            paid_on=paid_on,
        )


@dataclass(frozen=True, slots=True)
class Wallet:
    """What a member can pay with; frozen money stays theirs and pays nothing."""

    principal_fen: int
    bonus_fen: int
    is_frozen: bool
    frozen_reason: str | None
    has_pin: bool

    @property
    def total_fen(self) -> int:
        """Principal and bonus."""
        return self.principal_fen + self.bonus_fen


@dataclass(frozen=True, slots=True)
class Quarter:
    """The quarterly report of a single-purpose prepaid card (单用途商业预付卡): money in, used, paid out, and what is
    owed to members at the end. `deposit_fen` is the share of what is owed that has to lie in the deposit account."""

    begins: date
    ends: date
    top_ups: int
    paid_fen: int
    bonus_fen: int
    used_principal_fen: int
    used_bonus_fen: int
    payouts: int
    paid_out_fen: int
    closing_principal_fen: int
    closing_bonus_fen: int
    deposit_fen: int


async def wallet(member_id: int, *, at: datetime) -> Wallet:
    """The member's stored value."""
    has = (await ledger_read.balances([member_id], at=at))[member_id]
    row = await db.fetch_one(
        "SELECT frozen_at, frozen_reason, pin IS NOT NULL AS has_pin FROM stored_account WHERE member_id = $1",
        member_id,
    )
    return Wallet(
        principal_fen=has.of(Asset.PRINCIPAL).available,
        bonus_fen=has.of(Asset.BONUS).available,
        is_frozen=row is not None and row["frozen_at"] is not None,
        frozen_reason=None if row is None else row["frozen_reason"],
        has_pin=row is not None and row["has_pin"],
    )


async def slices(member_id: int, *, limit: int = 100) -> list[SliceView]:
    """The member's top-ups, newest first, with what was used of each."""
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM stored_slice WHERE member_id = $1 ORDER BY id DESC LIMIT $2", member_id, limit
    )
    return await _used(rows)


async def find(slice_id: int) -> SliceView | None:
    """One top-up."""
    found = await _used(await db.fetch(f"SELECT {COLUMNS} FROM stored_slice WHERE id = $1", slice_id))
    return found[0] if found else None


async def used_for(key: str) -> tuple[int, int] | None:
    """What a use paid, and how much of it came back; None when stored value paid nothing there."""
    row = await db.fetch_one("SELECT amount_fen, returned_fen FROM stored_use WHERE key = $1", key)
    return None if row is None else (row["amount_fen"], row["returned_fen"])


async def by_key(key: str) -> SliceView | None:
    """The top-up with this business key."""
    found = await _used(await db.fetch(f"SELECT {COLUMNS} FROM stored_slice WHERE key = $1", key))
    return found[0] if found else None


async def quarter(begins: datetime, ends: datetime, *, terms: Terms) -> Quarter:
    """The report over [begins, ends), which are midnights of the programme."""
    row = await db.fetch_one(_QUARTER, begins, ends)
    flows = {row["asset"]: row for row in await db.fetch(_FLOWS, begins, ends, list(_OURS))}
    closing = {asset: flows[asset]["closing"] if asset in flows else 0 for asset in (Asset.PRINCIPAL, Asset.BONUS)}
    used = {asset: flows[asset]["used"] if asset in flows else 0 for asset in (Asset.PRINCIPAL, Asset.BONUS)}
    counted = {} if row is None else dict(row)
    return Quarter(
        begins=begins.date(),
        ends=ends.date(),
        top_ups=counted["top_ups"],
        paid_fen=counted["paid"],
        bonus_fen=counted["bonus"],
        used_principal_fen=used[Asset.PRINCIPAL],
        used_bonus_fen=used[Asset.BONUS],
        payouts=counted["payouts"],
        paid_out_fen=counted["paid_out"],
        closing_principal_fen=closing[Asset.PRINCIPAL],
        closing_bonus_fen=closing[Asset.BONUS],
        deposit_fen=closing[Asset.PRINCIPAL] * terms.stored_value.deposit_percent // 100,
    )


async def _used(rows: Sequence[db.Row]) -> list[SliceView]:
    if not rows:
        return []
    owners = sorted({row["member_id"] for row in rows})
    left = {row["grant_key"]: row["remaining"] for row in await db.fetch(_LEFT, owners)}
    consumed: dict[int, int] = {}
    listed: dict[int, int] = {}
    for row in await db.fetch(_TAKEN, [row["id"] for row in rows]):
        at = row["slice_id"]
        consumed[at] = consumed.get(at, 0) + row["taken_fen"]
        # The list price of what a use paid for belongs to its top-ups in the share that each of them paid.
        listed[at] = listed.get(at, 0) + row["list_fen"] * row["taken_fen"] // row["amount_fen"]
    return [
        SliceView(
            **{**dict(row), "evidence": orjson.loads(row["evidence"])},
            principal_left_fen=left.get(grant_key(row["id"], Asset.PRINCIPAL), 0),
            bonus_left_fen=left.get(grant_key(row["id"], Asset.BONUS), 0),
            consumed_fen=consumed.get(row["id"], 0),
            list_fen=listed.get(row["id"], 0),
        )
        for row in rows
    ]
