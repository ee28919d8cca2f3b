"""What a posting costs while the ledger grows: the same members with more and more history behind them."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.ledger import queries
from loyalty.ledger.service import Asset
from xiaohui.bench import ledger
from xiaohui.bench.ledger import Rate

ROUND: Final = 3
"""Entries of one member per round of history: two grants, and the spend that uses both up."""
ROUNDS_AT_ONCE: Final = 5
WARM_UP_S: Final = 0.5
READS: Final = 300

# Entry number n of everybody comes before number n + 1 of anybody, as time would have it.
_HISTORY: Final = """
WITH given AS MATERIALIZED (
    SELECT id, (id * $4 % $1) + 1 AS member_id, (id / $1) % 3 AS step,
           $5::timestamptz - make_interval(hours => 1000 - (id / $1)::int) AS at
    FROM generate_series($2::bigint * 3 * $1, $3::bigint * 3 * $1 - 1) AS id
), entry AS (
    INSERT INTO ledger_entry (id, member_id, key, fingerprint, kind, asset, amount, delta, balance_after, reason,
                              occurred_at, booked_at)
    SELECT id + 1, member_id, 'history:' || id, '', 'bench', 'points', CASE step WHEN 2 THEN 20 ELSE 10 END,
           CASE step WHEN 2 THEN -20 ELSE 10 END, CASE step WHEN 0 THEN 10 WHEN 1 THEN 20 ELSE 0 END, '{}', at, at
    FROM given
), lot AS (
    INSERT INTO ledger_lot (id, member_id, asset, entry_id, grant_key, original, remaining, state, priority,
                            promotional, effective_at, created_at)
    SELECT id + 1, member_id, 'points', id + 1, 'history:' || id, 10, 0, 'active', 0, true, at, at
    FROM given WHERE step < 2
)
INSERT INTO ledger_posting (entry_id, seq, member_id, asset, source, destination, amount, lot_id)
SELECT id + 1, 0, member_id, 'points', 'issued', 'available', 10, id + 1 FROM given WHERE step < 2
UNION ALL
SELECT id + 1, seq, member_id, 'points', 'available', 'spent', 10, id + 1 - (2 - seq) * $1
FROM given CROSS JOIN generate_series(0, 1) AS seq WHERE step = 2
"""


@dataclass(frozen=True, slots=True)
class Grown:
    """A ledger of `rows` entries: postings per second, and how long reading a balance and a page of history takes."""

    rows: int
    posting: Rate
    balance_ms: float
    statement_ms: float

    @property
    def cost(self) -> float:
        """Of one posting: processor time where the machine tells it, else time."""
        if self.posting.cpu_us is None or self.posting.database_cpu_us is None:
            return 1_000_000 / self.posting.per_second
        return self.posting.cpu_us + self.posting.database_cpu_us


async def fill(members: int, rounds: int, *, now: datetime) -> None:
    """A past of `rounds` rounds for every member, and something to spend today."""
    await db.execute("SELECT setval('ledger_entry_id_seq', $1)", members * rounds * ROUND + 1)
    for first in range(0, rounds, ROUNDS_AT_ONCE):
        last = min(first + ROUNDS_AT_ONCE, rounds)
        await db.execute(_HISTORY, members, first, last, ledger.STRIDE, now)
    await ledger.open_wallets(members, now=now)
    await db.execute("VACUUM ANALYZE")


async def measure(members: int, *, turn: int, seconds: float, now: datetime) -> Grown:
    """One turn on one database. It begins with a checkpoint, after which PostgreSQL writes every page whole that it
    touches for the first time: a large ledger pays for that most."""
    await db.execute("CHECKPOINT")
    await ledger.batches(members, prefix=f"warm {turn}", at_once=1, seconds=WARM_UP_S, now=now)
    posting = await ledger.batches(members, prefix=f"turn {turn}", at_once=1, seconds=seconds, now=now)
    someone = [number * ledger.STRIDE % members + 1 for number in range(READS)]
    return Grown(
        rows=await db.fetch_value("SELECT count(*) FROM ledger_entry"),
        posting=posting,
        balance_ms=await _median_ms(someone, lambda member_id: queries.balances([member_id], at=now)),
        statement_ms=await _median_ms(someone, lambda member_id: queries.statement(member_id, Asset.POINTS)),
    )


async def _median_ms(members: Sequence[int], read: Callable[[int], Awaitable[object]]) -> float:
    took = []
    for member_id in members:
        begun = time.perf_counter()
        await read(member_id)
        took.append(time.perf_counter() - begun)
    return round(statistics.median(took) * 1000, 3)


def middle(turns: Sequence[Grown]) -> Grown:
    """The turn whose cost is the median one."""
    return sorted(turns, key=lambda turn: turn.cost)[len(turns) // 2]
