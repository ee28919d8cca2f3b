"""Counting what a ladder measures, for many members and windows at a time: one statement per kind of measure.

A fact counts at the instant at which it happened, and for what is left of it: a refund makes the purchase smaller,
wherever the purchase lies, and does not count against the day of the refund.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from loyalty import db
from loyalty.ladders.rules import Metric
from loyalty.tiers.states import Asked

Question = tuple[int, Asked]
Timeline = tuple[tuple[datetime, int], ...]

# Each says of one member `asked.member_id` when (`at`) how much (`amount`) was counted. $5 are stores, $6 the
# programme's zone, $7 is now. Lots keep their instant through a merge, as purchases do.
_PURCHASES: Final = """
    FROM purchase WHERE purchase.member_id = asked.member_id AND (cardinality($5::bigint[]) = 0 OR store_id = ANY($5))
"""
_LOTS: Final = """
    SELECT effective_at AS at, remaining AS amount FROM ledger_lot lot
    WHERE lot.member_id = asked.member_id AND lot.asset = '{asset}' AND lot.remaining > 0
      AND (lot.state = 'active' OR lot.state = 'pending' AND lot.activates_at <= $7)
      AND (lot.expires_at IS NULL OR lot.expires_at > $7)
"""
_EARNED: Final = """
    SELECT coalesce(origin.occurred_at, entry.occurred_at) AS at,
           CASE WHEN posting.destination = 'clawed_back' THEN -posting.amount ELSE posting.amount END AS amount
    FROM (
        WITH RECURSIVE joined(id) AS (
            SELECT asked.member_id
            UNION SELECT merge.source_id FROM joined
                  JOIN member_merge merge ON merge.target_id = joined.id AND merge.undone_at IS NULL
        ) SELECT id FROM joined
    ) AS one
    JOIN ledger_entry entry ON entry.member_id = one.id AND entry.asset = 'points'
         AND entry.kind NOT IN ('unmerge_in', 'unmerge_out')
    JOIN ledger_posting posting ON posting.entry_id = entry.id AND posting.member_id = entry.member_id
         AND (posting.destination = 'clawed_back'
              OR posting.source IN ('issued', 'pending') AND posting.destination IN ('available', 'arrears'))
    LEFT JOIN ledger_entry origin ON origin.id = entry.reverses_id AND origin.member_id = entry.member_id
"""
_FACTS: Final[Mapping[Metric, str]] = {
    Metric.GROWTH: _LOTS.format(asset="growth"),
    Metric.SPEND: f"SELECT occurred_at AS at, amount_fen - refunded_fen AS amount {_PURCHASES}",
    Metric.VISITS: f"""
        SELECT max(occurred_at) AS at, 1 AS amount {_PURCHASES}
           AND (amount_fen = 0 OR refunded_fen < amount_fen)
        GROUP BY (occurred_at AT TIME ZONE $6)::date
    """,
    Metric.POINTS_EARNED: _EARNED,
    Metric.POINTS_BALANCE: _LOTS.format(asset="points"),
}
_ASKED: Final = """
FROM unnest($1::int[], $2::bigint[], $3::timestamptz[], $4::timestamptz[]) AS asked(place, member_id, begins, ends)
CROSS JOIN (SELECT $5::bigint[] AS stores, $6::text AS zone, $7::timestamptz AS now) AS given
"""
_WITHIN: Final = "(asked.begins IS NULL OR fact.at >= asked.begins) AND (asked.ends IS NULL OR fact.at < asked.ends)"
_COUNT: Final = """
SELECT asked.place, coalesce((SELECT sum(fact.amount) FROM ({facts}) AS fact WHERE {within}), 0)::bigint AS counted
{asked}
"""
_LIST: Final = """
SELECT asked.place, fact.at, fact.amount::bigint AS amount {asked}
CROSS JOIN LATERAL ({facts}) AS fact WHERE {within} AND fact.amount <> 0 ORDER BY asked.place, fact.at DESC
"""


async def count(questions: Sequence[Question], *, zone: ZoneInfo, now: datetime) -> list[int]:
    """How much each question counts to, in order."""
    counted = [0] * len(questions)
    for row in await _rows(_COUNT, questions, zone, now):
        counted[row["place"]] = max(0, row["counted"])
    return counted


async def timelines(questions: Sequence[Question], *, zone: ZoneInfo, now: datetime) -> list[Timeline]:
    """What each count consists of, newest first."""
    found: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
    for row in await _rows(_LIST, questions, zone, now):
        found[row["place"]].append((row["at"], row["amount"]))
    return [tuple(found[place]) for place in range(len(questions))]


async def _rows(sql: str, questions: Sequence[Question], zone: ZoneInfo, now: datetime) -> list[db.Row]:
    kinds: dict[tuple[Metric, tuple[int, ...]], list[int]] = defaultdict(list)
    for place, (_, asked) in enumerate(questions):
        kinds[asked.measure.metric, asked.measure.store_ids].append(place)
    rows: list[db.Row] = []
    for (metric, stores), places in kinds.items():
        rows += await db.fetch(
            sql.format(facts=_FACTS[metric], asked=_ASKED, within=_WITHIN),
            places,
            [questions[place][0] for place in places],
            [questions[place][1].begins for place in places],
            [questions[place][1].ends for place in places],
            list(stores),
            zone.key,
            now,
        )
    return rows
