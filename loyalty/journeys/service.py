"""Running journeys: enrolled once by a key, advanced in batches, each step with its effects in one commit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from loyalty import bell, clock, db
from loyalty.coupon_templates import queries as templates
from loyalty.coupons import service as coupons
from loyalty.errors import ensure
from loyalty.events import PointsAccrued
from loyalty.journeys import rules
from loyalty.journeys.moves import CouponGift, Moment, Move, Run
from loyalty.journeys.rules import BIRTHDAY, JOURNEYS
from loyalty.ledger.operations import Grant
from loyalty.ledger.outcomes import Posted
from loyalty.outbox import service as outbox
from loyalty.program import queries as program
from loyalty.spine import service as spine
from loyalty.tiers import queries as tiers
from loyalty.tiers import service as judging

TRIES_MAX: Final = 8
PAUSE: Final = timedelta(seconds=5)
HOPS_MAX: Final = 16

_ENROL_BIRTHDAYS: Final = """
INSERT INTO journey_run (journey, key, member_id, node, data, status, due_at, attempts, started_at)
SELECT $1::text, m.id || ':' || $2::text, m.id, $3::text, jsonb_build_object('year', $2::text::int), 'waiting',
       $5, 0, $5
FROM member m
WHERE m.birthday_month_day = ANY($4) AND m.status = 'active' AND ($6::bigint[] IS NULL OR m.id = ANY($6))
  AND NOT EXISTS (SELECT 1 FROM journey_run r WHERE r.journey = $1::text AND r.key = m.id || ':' || $2::text)
ORDER BY m.id LIMIT $7
ON CONFLICT (journey, key) DO NOTHING
"""
# A merge moves a run to the member who stays; whoever is gone meanwhile leaves the journey.
_TAKE: Final = """
SELECT run.id, run.journey, run.key, run.member_id, run.node, run.data, run.attempts, run.started_at, member.status
FROM journey_run run JOIN member ON member.id = run.member_id
WHERE run.status = 'waiting' AND run.due_at <= $1
ORDER BY run.due_at, run.id LIMIT $2 FOR UPDATE OF run SKIP LOCKED
"""
_SAVE: Final = """
UPDATE journey_run run SET node = given.node, data = given.data::jsonb, status = given.status, due_at = given.due_at,
    attempts = 0, finished_at = CASE WHEN given.status = 'waiting' THEN NULL ELSE $6::timestamptz END
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
    AS given(id, node, data, status, due_at)
WHERE run.id = given.id
"""


async def enrol_birthdays(*, now: datetime, member_ids: Sequence[int] | None = None, batch_max: int = 500) -> int:
    """Start the birthday journey of members (of `member_ids`, when given) who have their birthday today; how many.

    Once a year and member whatever is retried: the year is in the key of the run and of the gift.
    """
    today = clock.business_day(now, (await program.in_force(now)).terms.calendar)
    enrolled = await db.execute(
        _ENROL_BIRTHDAYS,
        BIRTHDAY,
        str(today.year),
        JOURNEYS[BIRTHDAY].first(),
        rules.birthdays_on(today),
        now,
        None if member_ids is None else list(member_ids),
        batch_max,
    )
    if enrolled:
        bell.ring("journeys")
    return enrolled


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run could not be moved; `is_final` when it will not be tried again."""

    run_id: int
    journey: str
    node: str
    cause: Exception
    is_final: bool


@dataclass(frozen=True, slots=True)
class Advanced:
    """How many runs were looked at, and which of them failed."""

    looked_at: int
    failures: tuple[Failure, ...] = ()


async def advance_due(*, now: datetime, batch_max: int) -> Advanced:
    """Move at most `batch_max` runs whose time has come as far as they go.

    Other workers skip the rows of this unit of work. A run that fails is put off alone, and failed for good
    after `TRIES_MAX` tries.
    """
    rows = await db.fetch(_TAKE, now, batch_max)
    gone = [row["id"] for row in rows if row["status"] in {"closed", "merged"}]
    if gone:
        await db.execute("UPDATE journey_run SET status = 'exited', finished_at = $2 WHERE id = ANY($1)", gone, now)
    runs = [_run(row) for row in rows if row["id"] not in gone]
    failures: list[Failure] = []
    if runs and await _advanced(runs, now) is not None:
        for run in runs:
            cause = await _advanced([run], now)
            if cause is not None:
                failures.append(await _put_off(run, cause, now))
    return Advanced(len(rows), tuple(failures))


async def _advanced(runs: Sequence[Run], now: datetime) -> Exception | None:
    try:
        async with db.attempt():
            await _advance(runs, now)
    except Exception as failure:  # noqa: BLE001 - one broken run must not hold the others
        return failure
    return None


async def _advance(runs: Sequence[Run], now: datetime) -> None:
    terms = (await program.in_force(now)).terms
    given = await tiers.benefits_at([(run.member_id, now) for run in runs], now=now)
    moment = Moment(now, terms, {member_id: benefits for (member_id, _), benefits in given.items()})
    walked = [_walk(run, moment) for run in runs]
    await _give([grant for _, move in walked for grant in move.grants], now)
    await _give_coupons([gift for _, move in walked for gift in move.coupons], now)
    await outbox.queue(*(notice for _, move in walked for notice in move.notices), now=now)
    await _save([(run, move.wait_until) for run, move in walked], now)


def _walk(run: Run, moment: Moment) -> tuple[Run, Move]:
    """Where the run comes to, with everything that happens on the way; it ends at node ``""``."""
    grants: list[Any] = []
    notices: list[Any] = []
    gifts: list[CouponGift] = []
    for _ in range(HOPS_MAX):
        journey = JOURNEYS[run.journey]
        move = journey.nodes[run.node].decide(run, moment)
        grants += move.grants
        notices += move.notices
        gifts += move.coupons
        run = replace(run, data={**run.data, **move.data})
        if move.wait_until is not None:
            return run, Move(
                wait_until=move.wait_until, grants=tuple(grants), notices=tuple(notices), coupons=tuple(gifts)
            )
        onward = journey.after(run.node)
        if onward is None:
            return replace(run, node=""), Move(grants=tuple(grants), notices=tuple(notices), coupons=tuple(gifts))
        run = replace(run, node=onward)
    return run, Move(wait_until=moment.now, grants=tuple(grants), notices=tuple(notices), coupons=tuple(gifts))


async def _give(grants: Sequence[Grant], now: datetime) -> None:
    outcomes = await judging.post(grants, now=now)
    events = []
    for grant, outcome in zip(grants, outcomes, strict=True):
        ensure(isinstance(outcome, Posted), "a gift's key is its own")
        if isinstance(outcome, Posted) and not outcome.replayed:
            events.append(
                PointsAccrued(
                    member_id=grant.member_id, at=now, points=grant.amount, balance=outcome.balance, key=grant.key
                )
            )
    await spine.record(*events, now=now)


async def _give_coupons(gifts: Sequence[CouponGift], now: datetime) -> None:
    """What a sold-out or withdrawn template cannot give is not given; the rest of the journey goes on."""
    ids = {code: await templates.by_code(code) for code in {gift.template for gift in gifts}}
    requests = [
        coupons.ClaimRequest(member_id=gift.member_id, template_id=template.id, key=gift.key, origin="journey")
        for gift in gifts
        if (template := ids[gift.template]) is not None
    ]
    if requests:
        await coupons.claim(requests, now=now)


async def _save(walked: Sequence[tuple[Run, datetime | None]], now: datetime) -> None:
    await db.execute(
        _SAVE,
        [run.id for run, _ in walked],
        [run.node for run, _ in walked],
        [orjson.dumps(dict(run.data)).decode() for run, _ in walked],
        ["waiting" if run.node else "done" for run, _ in walked],
        [wait_until or now for _, wait_until in walked],
        now,
    )


async def _put_off(run: Run, cause: Exception, now: datetime) -> Failure:
    is_final = run.attempts + 1 >= TRIES_MAX
    await db.execute(
        "UPDATE journey_run SET attempts = attempts + 1, due_at = $2, status = $3, finished_at = $4 WHERE id = $1",
        run.id,
        now + PAUSE * 2**run.attempts,
        "failed" if is_final else "waiting",
        now if is_final else None,
    )
    return Failure(run.id, run.journey, run.node, cause, is_final)


def _run(row: db.Row) -> Run:
    values = {key: row[key] for key in ("id", "journey", "key", "member_id", "node", "attempts", "started_at")}
    return Run(**values, data=orjson.loads(row["data"]))
