"""My data (我的数据): everything we hold in one document, and an account that can really be closed.

Closing destroys the member's data key, so that every sealed value becomes noise wherever a copy of it lies,
removes what names the person, and leaves the books whole under a number that names nobody.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson

from loyalty import db, vault
from loyalty.datarights.rules import HOLDINGS, IDENTITY_TABLES, Erasure
from loyalty.errors import Conflict
from loyalty.events import MemberClosed
from loyalty.ledger.moving import forfeit
from loyalty.mall import ending as mall
from loyalty.members.service import MemberGone
from loyalty.outbox import service as outbox
from loyalty.reveals import service as reveals
from loyalty.spine import service as spine
from loyalty.stored_value import queries as stored_value

# The law says "in time" (及时); this is our own promise.
ANSWER_WITHIN: Final = timedelta(days=15)

_JSON_COLUMNS: Final = frozenset({"reason", "lines", "data", "calculation"})

_ACCOUNTS: Final = """
WITH RECURSIVE whole AS (
    SELECT id, status FROM member WHERE id = $1
    UNION
    SELECT m.id, m.status FROM whole JOIN member_merge merge ON merge.target_id = whole.id AND merge.undone_at IS NULL
    JOIN member m ON m.id = merge.source_id
)
SELECT id, status FROM whole ORDER BY id
"""
_PROFILE: Final = """
SELECT number, public_id, status, locale, channel, scene, is_minor, profiling, phone_verified_at, joined_at,
       registered_at
FROM member WHERE id = $1
"""
_CLOSE_MEMBER: Final = """
UPDATE member SET status = 'closed', closed_at = $2, name_sealed = NULL, name_masked = NULL, phone_sealed = NULL,
    phone_index = NULL, phone_masked = NULL, phone_verified_at = NULL, birthday_sealed = NULL,
    birthday_month_day = NULL, scene = NULL, referrer_id = NULL, profiling = false
WHERE id = ANY($1)
"""


@dataclass(frozen=True, slots=True)
class Closed:
    """The account is closed and erased; `already` when it was before."""

    member_id: int
    already: bool


async def export(member_id: int, *, now: datetime) -> dict[str, Any]:
    """Everything we hold about a member, as one JSON-able document with a section per kind of data.

    Raises:
        MemberGone: closed, merged or unknown.
    """
    accounts = await _living_accounts(member_id)
    await _request(member_id, "export", now=now)
    document: dict[str, Any] = {"exported_at": now.isoformat(), "profile": await _profile(member_id)}
    for holding in HOLDINGS:
        if holding.section:
            document[holding.section] = await _section(holding.table, holding.columns, accounts)
    return document


class StoredValueLeft(Conflict):
    """`left_fen` of money that was paid in is still stored: it is paid out before the account goes."""

    code = "data.stored_value_left"


async def close(member_id: int, *, now: datetime, again: bool = False) -> Closed:
    """Close and erase the account (注销), and those that were merged into it; what it still owned is void, except money
    that was paid in, which nobody forfeits. `again`: it was closed before, and a restore brought it back.

    Raises:
        MemberGone: unknown, or merged into another account.
        StoredValueLeft
    """
    status = await db.fetch_value("SELECT status FROM member WHERE id = $1 FOR UPDATE", member_id)
    if status in {None, "merged"}:
        raise MemberGone
    if status == "closed":
        return Closed(member_id, already=True)
    stored = (await stored_value.wallet(member_id, at=now)).principal_fen
    if stored and not again:
        raise StoredValueLeft(left_fen=stored)
    accounts = await _accounts(member_id)
    await outbox.withdraw(accounts, now=now)
    await _end_what_runs(accounts, now=now)
    await mall.cancel_open_of(accounts, now=now)
    await forfeit(accounts, kind="account_closed", now=now)
    await _remove(accounts)
    await _shred(accounts, now=now)
    await _request(member_id, "delete", now=now)
    await spine.record(MemberClosed(member_id=member_id, at=now), now=now)
    return Closed(member_id, already=False)


async def replay_erasures(member_ids: Sequence[int], *, now: datetime) -> int:
    """Erase again, after a restore and before the system opens, whoever was erased since the backup; how many."""
    rows = await db.fetch("SELECT id FROM member WHERE id = ANY($1) AND status <> 'closed'", list(member_ids))
    for row in rows:
        await db.execute("UPDATE member SET status = 'active' WHERE id = $1 AND status = 'merged'", row["id"])
        await close(row["id"], now=now, again=True)
    return len(rows)


async def _living_accounts(member_id: int) -> list[int]:
    status = await db.fetch_value("SELECT status FROM member WHERE id = $1", member_id)
    if status in {None, "merged", "closed"}:
        raise MemberGone
    return await _accounts(member_id)


async def _accounts(member_id: int) -> list[int]:
    """The member and everybody merged into them: one person's data lies under all of these."""
    return [row["id"] for row in await db.fetch(_ACCOUNTS, member_id)]


async def _profile(member_id: int) -> dict[str, Any]:
    row = await db.fetch_one(_PROFILE, member_id)
    own = await reveals.own_profile(member_id)
    values = {} if row is None else {key: _plain(key, value) for key, value in row.items()}
    return {**values, "name": own.name, "phone": own.phone, "birthday": _plain("birthday", own.birthday)}


async def _section(table: str, columns: Sequence[str], accounts: Sequence[int]) -> list[dict[str, Any]]:
    order = "created_at" if table == "session" else "id"
    rows = await db.fetch(
        f"SELECT {', '.join(columns)} FROM {table} WHERE member_id = ANY($1) ORDER BY {order}",
        list(accounts),
    )
    return [{key: _plain(key, value) for key, value in row.items()} for row in rows]


def _plain(column: str, value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if column in _JSON_COLUMNS and isinstance(value, str) and value[:1] in {"{", "["}:
        parsed: Mapping[str, Any] | list[Any] = orjson.loads(value)
        return parsed
    return value


async def _request(member_id: int, kind: str, *, now: datetime) -> None:
    await db.execute(
        "INSERT INTO data_request (member_id, kind, status, requested_at, due_at, finished_at)"
        " VALUES ($1, $2, 'done', $3, $4, $3)",
        member_id,
        kind,
        now,
        now + ANSWER_WITHIN,
    )


async def _end_what_runs(accounts: Sequence[int], *, now: datetime) -> None:
    ids = list(accounts)
    await db.execute("UPDATE coupon SET status = 'void' WHERE member_id = ANY($1) AND status = 'issued'", ids)
    await db.execute("UPDATE tier_interval SET ends_at = $2 WHERE member_id = ANY($1) AND ends_at IS NULL", ids, now)
    await db.execute(
        "UPDATE journey_run SET status = 'exited', finished_at = $2 WHERE member_id = ANY($1) AND status = 'waiting'",
        ids,
        now,
    )
    await db.execute("UPDATE outbox SET params = '{}' WHERE member_id = ANY($1)", ids)


async def _remove(accounts: Sequence[int]) -> None:
    ids = list(accounts)
    identities = [row["id"] for row in await db.fetch("SELECT id FROM channel_identity WHERE member_id = ANY($1)", ids)]
    await db.execute(
        "DELETE FROM dialogue WHERE key = ANY($1)", [f"identity:{identity_id}" for identity_id in identities]
    )
    for table in IDENTITY_TABLES:
        await db.execute(f"DELETE FROM {table} WHERE identity_id = ANY($1)", identities)
    for holding in HOLDINGS:
        if holding.erasure is Erasure.DELETE:
            await db.execute(f"DELETE FROM {holding.table} WHERE member_id = ANY($1)", ids)
        elif holding.erasure is Erasure.UNLINK:
            await db.execute(
                f"UPDATE {holding.table} SET member_id = NULL WHERE member_id = ANY($1)",
                ids,
            )
    await db.execute("DELETE FROM phone_claim WHERE holder_id = ANY($1) AND status <> 'waiting'", ids)


async def _shred(accounts: Sequence[int], *, now: datetime) -> None:
    ids = list(accounts)
    await db.execute("UPDATE member_key SET wrapped_key = NULL, destroyed_at = $2 WHERE member_id = ANY($1)", ids, now)
    await db.execute(_CLOSE_MEMBER, ids, now)
    await db.execute(
        "INSERT INTO erasure_log (member_id, member_hash, erased_at)"
        " SELECT id, hash, $3 FROM unnest($1::bigint[], $2::text[]) AS given(id, hash) ON CONFLICT DO NOTHING",
        ids,
        [vault.blind_index("member", str(account)) for account in ids],
        now,
    )
