"""Reading draws: what is promised, what is left, what a member won, and what anybody may check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from loyalty import db, vault
from loyalty.clock import start_of
from loyalty.draws.rules import NewDraw, Prize
from loyalty.program import queries as program

COLUMNS: Final = "id, code, document, fingerprint, status, starts_at, ends_at, created_by, created_at, published_at"
# A draw that began before midnight may still be under way: its seed stays secret until it has surely ended.
REVEALED_AFTER: Final = timedelta(minutes=10)
PAGE_MAX: Final = 100
RECORDS_MAX: Final = 200_000

WinStatus = Literal["given", "waiting", "handed_over", "owed"]

_DAY: Final = """
SELECT d.day, d.commitment, d.seed_sealed, d.head, d.serial FROM draw_day d WHERE d.draw_id = $1 AND d.day = $2
"""
_RECORDS: Final = """
SELECT serial, nonce, rolled, prize, link, at FROM draw_record WHERE draw_id = $1 AND day = $2 ORDER BY serial LIMIT $3
"""
_LEFT_BEFORE: Final = """
SELECT s.prize, s.stock - count(r.id) AS left FROM draw_stock s
LEFT JOIN draw_record r ON r.draw_id = s.draw_id AND r.prize = s.prize AND r.day < $2
WHERE s.draw_id = $1 GROUP BY s.prize, s.stock ORDER BY s.prize
"""
_WINS: Final = """
SELECT w.id, d.code, d.document, w.prize, w.status, w.at, w.handed_over_at, r.day, r.serial, r.nonce, r.link
FROM draw_win w JOIN draw d ON d.id = w.draw_id JOIN draw_record r ON r.id = w.id
WHERE w.member_id = $1 AND ($2::bigint IS NULL OR w.id < $2) ORDER BY w.id DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class DrawView:
    """A draw with its frozen document; `fingerprint` is the SHA-256 of the document's canonical text."""

    id: int
    code: str
    draw: NewDraw
    document: str
    fingerprint: str
    status: str
    created_by: str
    created_at: datetime
    published_at: datetime | None

    def prize(self, code: str) -> Prize:
        """The prize of that code."""
        return next(prize for prize in self.draw.prizes if prize.code == code)


@dataclass(frozen=True, slots=True)
class Win:
    """A prize that a member won, with the receipt that finds it in the day's publication."""

    id: int
    draw: str
    prize: Prize
    status: WinStatus
    at: datetime
    handed_over_at: datetime | None
    day: date
    serial: int
    nonce: str
    link: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """What was published of a day's seed before the draw began."""

    day: date
    commitment: str


def view_of(row: db.Row) -> DrawView:
    """The view of a row that has all of `COLUMNS`."""
    return DrawView(
        id=row["id"],
        code=row["code"],
        draw=NewDraw.model_validate_json(row["document"]),
        document=row["document"],
        fingerprint=row["fingerprint"],
        status=row["status"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        published_at=row["published_at"],
    )


async def find(code: str) -> DrawView | None:
    """One draw, whatever its state."""
    row = await db.fetch_one(f"SELECT {COLUMNS} FROM draw WHERE code = $1", code)
    return None if row is None else view_of(row)


async def running(*, at: datetime) -> list[DrawView]:
    """Published draws that have not ended, what ends first first."""
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM draw WHERE status = 'published' AND ends_at > $1 ORDER BY ends_at, id LIMIT $2",
        at,
        PAGE_MAX,
    )
    return [view_of(row) for row in rows]


async def every(*, limit: int = PAGE_MAX) -> list[DrawView]:
    """All draws, newest first; for the console."""
    return [view_of(row) for row in await db.fetch(f"SELECT {COLUMNS} FROM draw ORDER BY id DESC LIMIT $1", limit)]


async def left(draw_id: int) -> Mapping[str, int]:
    """How many are left of each limited prize."""
    rows = await db.fetch(
        "SELECT prize, stock - won AS left FROM draw_stock WHERE draw_id = $1 ORDER BY prize", draw_id
    )
    return {row["prize"]: row["left"] for row in rows}


async def commitments(draw_id: int) -> list[Commitment]:
    """The published commitment of each day."""
    rows = await db.fetch("SELECT day, commitment FROM draw_day WHERE draw_id = $1 ORDER BY day", draw_id)
    return [Commitment(row["day"], row["commitment"]) for row in rows]


async def wins(member_id: int, *, before_id: int | None = None, limit: int = 20) -> list[Win]:
    """What a member won, newest first."""
    rows = await db.fetch(_WINS, member_id, before_id, max(1, min(limit, PAGE_MAX)))
    return [_win(row) for row in rows]


def prize_of(document: str, code: str) -> Prize:
    """The prize of that code in a frozen document."""
    return next(prize for prize in NewDraw.model_validate_json(document).prizes if prize.code == code)


def _win(row: db.Row) -> Win:
    return Win(
        id=row["id"],
        draw=row["code"],
        prize=prize_of(row["document"], row["prize"]),
        status=row["status"],
        at=row["at"],
        handed_over_at=row["handed_over_at"],
        day=row["day"],
        serial=row["serial"],
        nonce=row["nonce"],
        link=row["link"],
    )


async def publication(draw: DrawView, day: date, *, now: datetime) -> Mapping[str, Any] | None:
    """One day as anybody may check it (`proof.check`); the seed and the records once the day is surely over.

    None when nothing can be drawn on that day. It names no member: whoever drew knows their serial and nonce.
    """
    row = await db.fetch_one(_DAY, draw.id, day)
    if row is None:
        return None
    zone = (await program.in_force(now)).terms.calendar
    over = start_of(day + timedelta(days=1), zone) + REVEALED_AFTER <= now
    before = {left["prize"]: left["left"] for left in await db.fetch(_LEFT_BEFORE, draw.id, day)}
    records = await db.fetch(_RECORDS, draw.id, day, RECORDS_MAX) if over else []
    return {
        "document": draw.document,
        "rules_sha256": draw.fingerprint,
        "day": day.isoformat(),
        "commitment": row["commitment"],
        "seed": vault.unseal(row["seed_sealed"], context=f"draw_day.seed:{draw.id}").hex() if over else None,
        "left_before": before,
        "left_after": _left_after(before, records),
        "head": row["head"] if over else None,
        "records": [_record(record) for record in records],
    }


def _left_after(before: Mapping[str, int], records: Sequence[db.Row]) -> dict[str, int]:
    rest = dict(before)
    for record in records:
        if record["prize"] in rest:
            rest[record["prize"]] -= 1
    return rest


def _record(row: db.Row) -> dict[str, Any]:
    return {
        "serial": row["serial"],
        "nonce": row["nonce"],
        "rolled": row["rolled"],
        "prize": row["prize"],
        "link": row["link"],
        "at": row["at"].isoformat(),
    }
