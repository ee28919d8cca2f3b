"""Drawing: paid with a chance, decided by the day's committed seed, booked and given in one unit of work.

The rows of the day and of the next one are the draw's lock: results of one draw come one after another, so
serials have no gaps, stock is exact, and a day is final once the next one has begun. UNIQUE and CHECK refuse
what a wrong plan would do.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from loyalty import db, vault
from loyalty.clock import business_day
from loyalty.draws import giving, rules
from loyalty.draws.proof import Day, Drawn
from loyalty.draws.publishing import DrawUnknown, seed_context
from loyalty.draws.queries import DrawView, find
from loyalty.draws.rules import PaidBy, Prize, Refused
from loyalty.errors import Conflict, Forbidden, Refusal, ensure
from loyalty.events import PrizeDrawn
from loyalty.ledger.service import Asset, NotEnough, Posted, Spend
from loyalty.program import queries as program
from loyalty.spine import service as spine
from loyalty.tiers import service as tiers

KEY_LENGTH_MAX: Final = 160

_LOCK_DAYS: Final = """
SELECT day, seed_sealed, serial, head FROM draw_day WHERE draw_id = $1 AND day = ANY($2::date[]) ORDER BY day FOR UPDATE
"""
_LOCK_STOCK: Final = "SELECT prize, stock - won AS left FROM draw_stock WHERE draw_id = $1 ORDER BY prize FOR UPDATE"
_KNOWN: Final = """
SELECT id, member_id, key, day, serial, nonce, prize, link, at FROM draw_record
WHERE draw_id = $1 AND (member_id, key) IN (SELECT * FROM unnest($2::bigint[], $3::text[]))
"""
_TALLY: Final = """
SELECT asked.member_id,
       (SELECT count(*) FROM draw_record r WHERE r.draw_id = $1 AND r.member_id = asked.member_id) AS total,
       (SELECT count(*) FROM draw_record r WHERE r.draw_id = $1 AND r.member_id = asked.member_id AND r.day = $3
        AND r.paid_by = 'free') AS free,
       (SELECT count(*) FROM draw_record r WHERE r.draw_id = $1 AND r.member_id = asked.member_id AND r.day = $3
        AND r.paid_by <> 'free') AS further,
       (SELECT coalesce(sum(c.count), 0) FROM draw_chance c WHERE c.draw_id = $1 AND c.member_id = asked.member_id)
       - (SELECT count(*) FROM draw_record r WHERE r.draw_id = $1 AND r.member_id = asked.member_id
          AND r.paid_by = 'granted') AS granted_left,
       EXISTS (SELECT 1 FROM staff s WHERE s.member_id = asked.member_id AND s.status = 'active') AS is_staff
FROM unnest($2::bigint[]) AS asked(member_id)
"""
_WRITE: Final = """
WITH counted AS (
    UPDATE draw_stock SET won = won + given.count FROM unnest($1::text[], $2::bigint[]) AS given(prize, count)
    WHERE draw_stock.draw_id = $3 AND draw_stock.prize = given.prize
), moved AS (
    UPDATE draw_day SET serial = $5, head = $6 WHERE draw_id = $3 AND day = $4
)
INSERT INTO draw_record (draw_id, member_id, key, day, serial, ordinal, nonce, rolled, prize, link, paid_by, at)
SELECT $3, member_id, key, $4, serial, ordinal, nonce, rolled, prize, link, paid_by, $7
FROM unnest($8::bigint[], $9::text[], $10::int[], $11::int[], $12::text[], $13::bigint[], $14::text[], $15::text[],
            $16::text[]) AS given(member_id, key, serial, ordinal, nonce, rolled, prize, link, paid_by)
ORDER BY serial
RETURNING id, serial
"""
_GRANT: Final = """
INSERT INTO draw_chance (draw_id, member_id, key, count, at)
SELECT d.id, $2, $3, $4, $5 FROM draw d WHERE d.code = $1 AND d.status = 'published' AND d.ends_at > $5
ON CONFLICT (draw_id, member_id, key) DO NOTHING
"""


class DrawClosed(Conflict):
    """The draw has not begun or is over; `starts_at` and `ends_at` say when it is open."""

    code = "draws.closed"


class NoChance(Conflict):
    """No chance is left: `free_per_day` more come tomorrow."""

    code = "draws.no_chance"


class DayLimit(Conflict):
    """The member drew as often as one may in a day: `limit`."""

    code = "draws.day_limit"


class TotalLimit(Conflict):
    """The member drew as often as one may in this draw: `limit`."""

    code = "draws.total_limit"


class NotForStaff(Forbidden):
    """People who work here do not take part (反不正当竞争法 art. 11: no prearranged winners)."""

    code = "draws.not_for_staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawRequest:
    """A member wants to draw once. The same `key` gets the same result again; `nonce` is the member's own share
    in the randomness, visible ASCII."""

    member_id: int
    key: str
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of it, with the receipt: day, serial, nonce and link find it in the day's publication."""

    record_id: int
    prize: Prize
    day: date
    serial: int
    nonce: str
    link: str
    at: datetime
    replayed: bool = False


DrawOutcome = Result | DrawUnknown | DrawClosed | NoChance | DayLimit | TotalLimit | NotForStaff | NotEnough


@dataclass(slots=True)
class _Tally:
    """A member's draws of this draw so far; counted on while a batch is planned."""

    total: int
    granted_left: int
    is_staff: bool
    today: Counter[PaidBy] = field(default_factory=Counter)

    def count(self, paid_by: PaidBy) -> None:
        self.total += 1
        self.today[paid_by] += 1
        self.granted_left -= paid_by is PaidBy.GRANTED


@dataclass(frozen=True, slots=True)
class _Paid:
    place: int
    request: DrawRequest
    ordinal: int
    paid_by: PaidBy


async def draw(code: str, batch: Sequence[DrawRequest], *, now: datetime) -> list[DrawOutcome]:
    """Draw for each request, in order; a fixed number of statements for any batch.

    What is won is given in the same unit of work, or waits to be handed over.
    """
    found = await find(code)
    if found is None or found.status != "published":
        return [DrawUnknown() for _ in batch]
    if not found.draw.is_open(now):
        return [DrawClosed(starts_at=found.draw.starts_at, ends_at=found.draw.ends_at) for _ in batch]
    day = await _lock_day(found, now)
    outcomes = await _known(found, batch)
    paid = await _pay(found, batch, outcomes, day, now)
    if paid:
        outcomes |= await _settle(found, paid, day, now)
    return [outcomes[place] for place in range(len(batch))]


async def draw_one(code: str, request: DrawRequest, *, now: datetime) -> Result:
    """`draw` of one.

    Raises:
        DrawUnknown, DrawClosed, NoChance, DayLimit, TotalLimit, NotForStaff, NotEnough
    """
    outcome = (await draw(code, [request], now=now))[0]
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


async def grant_chances(code: str, member_id: int, *, count: int, key: str, now: datetime) -> bool:
    """Give a member further chances for the occasion that `key` names, once; False when it had given already or
    the draw is not running."""
    return await db.execute(_GRANT, code, member_id, key, count, now) == 1


@dataclass(frozen=True, slots=True)
class _Today:
    day: date
    seed: bytes
    serial: int
    head: str


async def _lock_day(found: DrawView, now: datetime) -> _Today:
    """The day that this draw belongs to: the next one when that has begun meanwhile, so that days are final."""
    day = business_day(now, (await program.in_force(now)).terms.calendar)
    rows = await db.fetch(_LOCK_DAYS, found.id, [day, day + timedelta(days=1)])
    ensure(bool(rows) and rows[0]["day"] == day, "every day of a published draw has its seed")
    row = rows[1] if len(rows) > 1 and rows[1]["serial"] else rows[0]
    seed = vault.unseal(row["seed_sealed"], context=seed_context(found.id))
    return _Today(row["day"], seed, row["serial"], row["head"])


async def _known(found: DrawView, batch: Sequence[DrawRequest]) -> dict[int, DrawOutcome]:
    """The first answers of what was asked before, by place."""
    rows = await db.fetch(
        _KNOWN, found.id, [request.member_id for request in batch], [request.key for request in batch]
    )
    known = {(row["member_id"], row["key"]): row for row in rows}
    return {
        place: _result(found, known[request.member_id, request.key], replayed=True)
        for place, request in enumerate(batch)
        if (request.member_id, request.key) in known
    }


def _result(found: DrawView, row: db.Row, *, replayed: bool) -> Result:
    return Result(
        record_id=row["id"],
        prize=found.prize(row["prize"]),
        day=row["day"],
        serial=row["serial"],
        nonce=row["nonce"],
        link=row["link"],
        at=row["at"],
        replayed=replayed,
    )


async def _pay(
    found: DrawView, batch: Sequence[DrawRequest], outcomes: dict[int, DrawOutcome], today: _Today, now: datetime
) -> list[_Paid]:
    """Who may draw and how it is paid; refusals are written into `outcomes`."""
    tallies = await _tallies(found, {request.member_id for request in batch}, today.day)
    paid: list[_Paid] = []
    for place, request in enumerate(batch):
        if place in outcomes:
            continue
        tally = tallies[request.member_id]
        how = _payment(found, tally)
        if isinstance(how, Refusal):
            outcomes[place] = how
        else:
            tally.count(how)
            paid.append(_Paid(place, request, tally.total, how))
    return await _spend_points(found, paid, outcomes, now)


async def _tallies(found: DrawView, member_ids: set[int], day: date) -> dict[int, _Tally]:
    tallies = {}
    for row in await db.fetch(_TALLY, found.id, sorted(member_ids), day):
        tally = _Tally(row["total"], row["granted_left"], row["is_staff"])
        tally.today.update({PaidBy.FREE: row["free"], PaidBy.GRANTED: row["further"]})
        tallies[row["member_id"]] = tally
    return tallies


def _payment(found: DrawView, tally: _Tally) -> PaidBy | NoChance | DayLimit | TotalLimit | NotForStaff:
    if tally.is_staff:
        return NotForStaff()
    chances = found.draw.chances
    how = rules.payment(chances, today=tally.today, total=tally.total, granted_left=tally.granted_left)
    match how:
        case Refused.TOTAL_LIMIT:
            return TotalLimit(limit=chances.max_total)
        case Refused.DAY_LIMIT:
            return DayLimit(limit=chances.max_per_day)
        case Refused.NO_CHANCE:
            return NoChance(free_per_day=chances.free_per_day)
        case _:
            return how


async def _spend_points(
    found: DrawView, paid: Sequence[_Paid], outcomes: dict[int, DrawOutcome], now: datetime
) -> list[_Paid]:
    """Take the points; whoever has too few draws nothing, and what they would have drawn after it is refused too."""
    bought = [item for item in paid if item.paid_by is PaidBy.POINTS]
    if not bought:
        return list(paid)
    short: dict[int, NotEnough] = {}
    for item, outcome in zip(
        bought, await tiers.post([_price(found, item, now) for item in bought], now=now), strict=True
    ):
        if isinstance(outcome, NotEnough):
            outcomes[item.place] = short[item.request.member_id] = outcome
        else:
            ensure(isinstance(outcome, Posted) and not outcome.replayed, "an ordinal is paid once")
    return [item for item in paid if item.place not in outcomes]


def _price(found: DrawView, item: _Paid, now: datetime) -> Spend:
    return Spend(
        member_id=item.request.member_id,
        asset=Asset.POINTS,
        amount=found.draw.chances.points_per_draw,
        key=f"draw:{found.id}:{item.ordinal}",
        kind="draw",
        occurred_at=now,
        reason={"draw": found.code},
    )


async def _settle(found: DrawView, paid: Sequence[_Paid], today: _Today, now: datetime) -> dict[int, DrawOutcome]:
    left = {row["prize"]: row["left"] for row in await db.fetch(_LOCK_STOCK, found.id)}
    before = dict(left)
    series = Day(
        found.draw.model_dump(mode="json"),
        day=today.day.isoformat(),
        seed=today.seed,
        left=left,
        head=today.head,
        serial=today.serial,
    )
    drawn = [series.next(item.request.nonce) for item in paid]
    won = {prize: before[prize] - count for prize, count in left.items() if before[prize] != count}
    ids = await _write(found, paid, drawn, won, today.day, now)
    results = {
        item.place: Result(
            record_id=ids[one.serial],
            prize=found.prize(one.prize),
            day=today.day,
            serial=one.serial,
            nonce=one.nonce,
            link=one.link,
            at=now,
        )
        for item, one in zip(paid, drawn, strict=True)
    }
    await giving.give(
        found,
        [(item.request.member_id, results[item.place].record_id, results[item.place].prize) for item in paid],
        now=now,
    )
    await spine.record(
        *(
            PrizeDrawn(
                member_id=item.request.member_id, at=now, draw=found.code, prize=one.prize, record_id=ids[one.serial]
            )
            for item, one in zip(paid, drawn, strict=True)
        ),
        now=now,
    )
    return dict(results)


async def _write(
    found: DrawView, paid: Sequence[_Paid], drawn: Sequence[Drawn], won: Mapping[str, int], day: date, now: datetime
) -> dict[int, int]:
    rows = await db.fetch(
        _WRITE,
        list(won),
        list(won.values()),
        found.id,
        day,
        drawn[-1].serial,
        drawn[-1].link,
        now,
        [item.request.member_id for item in paid],
        [item.request.key for item in paid],
        [one.serial for one in drawn],
        [item.ordinal for item in paid],
        [one.nonce for one in drawn],
        [one.rolled for one in drawn],
        [one.prize for one in drawn],
        [one.link for one in drawn],
        [item.paid_by.value for item in paid],
    )
    ensure(len(rows) == len(paid), "every result is written")
    return {row["serial"]: row["id"] for row in rows}
