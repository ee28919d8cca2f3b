"""Refunds and tiers: whether a tier would have been reached without what went back, and what becomes of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.ladders import queries as ladders_read
from loyalty.ladders.rules import Benefits, Ladder, Step
from loyalty.program import queries as program
from loyalty.tiers import advancing, measures, rules, standings, windows
from loyalty.tiers.advancing import Course
from loyalty.tiers.service import write
from loyalty.tiers.standings import Key

_RISEN: Final = "SELECT member_id, ladder FROM tier_standing WHERE member_id = ANY($1) AND before <> '[]'::jsonb"
# A purchase that was not refunded, a birthday gift, a coupon that only the tier opens: what cannot be taken back.
_USED: Final = """
SELECT asked.member_id, asked.ladder
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[], $7::boolean[])
     AS asked(member_id, ladder, tier, lower, since, by_purchase, by_birthday)
WHERE asked.by_purchase AND EXISTS (
    SELECT 1 FROM purchase WHERE purchase.member_id = asked.member_id AND purchase.occurred_at >= asked.since
       AND purchase.id <> ALL($8::bigint[]) AND purchase.refunded_fen < purchase.amount_fen
) OR asked.by_birthday AND EXISTS (
    SELECT 1 FROM ledger_entry entry WHERE entry.member_id = asked.member_id AND entry.asset = 'points'
       AND entry.kind = 'birthday' AND entry.occurred_at >= asked.since
) OR EXISTS (
    SELECT 1 FROM coupon JOIN coupon_template template ON template.id = coupon.template_id
    WHERE coupon.member_id = asked.member_id AND coupon.claimed_at >= asked.since
      AND template.tiers ? asked.tier AND NOT template.tiers ? asked.lower
)
"""


async def refunded(purchases: Sequence[tuple[int, int]], *, now: datetime) -> None:
    """Judge members of whose purchases (member, purchase) something went back, in the unit of work of the refund.

    A tier that is reached all the same stays untouched. Otherwise the ladder's policy decides, and either way one
    row of the history tells.
    """
    rows = await db.fetch(_RISEN, sorted({member_id for member_id, _ in purchases}))
    if not rows:
        return
    ladders = await ladders_read.in_force(now)
    zone = (await program.in_force(now)).terms.calendar
    stood = await standings.take([(row["member_id"], row["ladder"]) for row in rows], ladders, zone)
    courses = [Course(one, one.state) for one in stood]
    await advancing.pass_dates(courses, now=now)
    refunded_ids = [purchase_id for _, purchase_id in purchases]
    await _take_back([course for course in courses if course.state.before], refunded_ids, now)
    await advancing.pass_dates(courses, now=now)
    await write(courses, now=now)


async def _take_back(courses: Sequence[Course], refunded_ids: Sequence[int], now: datetime) -> None:
    if not courses:
        return
    asked = [windows.asked_of_rises(course.state, course.stood.case) for course in courses]
    questions = [(course.stood.member_id, one) for course, some in zip(courses, asked, strict=True) for one in some]
    counts = iter(await measures.count(questions, zone=courses[0].stood.case.zone, now=now))
    present = await advancing.counted(
        courses, [windows.asked_now(course.state, course.stood.case, now) for course in courses], now=now
    )
    used = await _used(courses, refunded_ids)
    for course, some, at_present in zip(courses, asked, present, strict=True):
        risen = [next(counts) for _ in some]
        course.take(
            rules.after_refund(
                course.state, course.stood.case, risen, at_present, used=course.stood.key in used, at=now
            )
        )


async def _used(courses: Sequence[Course], refunded_ids: Sequence[int]) -> set[Key]:
    tiers = [_tiers(course) for course in courses]
    rows = await db.fetch(
        _USED,
        [course.stood.member_id for course in courses],
        [course.stood.case.published.code for course in courses],
        [tier.code for tier, _ in tiers],
        [lower.code for _, lower in tiers],
        [course.state.position.since for course in courses],
        [_gives_more_at_the_till(tier.benefits, lower.benefits) for tier, lower in tiers],
        [tier.benefits.birthday_points is not None for tier, _ in tiers],
        list(refunded_ids),
    )
    return {(row["member_id"], row["ladder"]) for row in rows}


def _tiers(course: Course) -> tuple[Step, Step]:
    """The tier held and the one before it."""
    ladder: Ladder = course.stood.case.ladder
    return ladder.step(course.state.position.tier), ladder.step(course.state.before[0].tier)


def _gives_more_at_the_till(tier: Benefits, lower: Benefits) -> bool:
    return (
        tier.multiplier_percent > lower.multiplier_percent
        or tier.member_price_percent < lower.member_price_percent
        or tier.free_shipping > lower.free_shipping
    )
