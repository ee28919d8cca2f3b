"""Ladders of the demo: one with reviews that some members will not pass, and one that counts visits."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from loyalty.access import SystemPrincipal
from loyalty.ladders import queries as ladders_read
from loyalty.ladders import service as ladders
from loyalty.ladders.rules import (
    MAIN,
    Benefits,
    Calendar,
    CalendarEnd,
    Fall,
    Fixed,
    Grace,
    Ladder,
    Measure,
    Metric,
    Step,
    TierAnniversary,
)
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, Operation
from loyalty.tiers import service as tiers

YEAR: Final = timedelta(days=365)
# How many of the people reached silver almost a year ago and stand before their review.
BEFORE_REVIEW: Final = 12
GROWTH: Final = 620


def _step(code: str, reach_from: int, keep_from: int, words: tuple[str, str], benefits: Benefits) -> Step:
    names = dict(zip(("zh-CN", "en"), words, strict=True))
    return Step(code=code, names=names, reach_from=reach_from, keep_from=keep_from, benefits=benefits)


MAIN_LADDER: Final = Ladder(
    names={"zh-CN": "茶友等级", "en": "Tea friends"},
    keeping=Measure(window=TierAnniversary()),
    validity=Fixed(months=12),
    grace=Grace(months=1, rounds_up_to="month"),
    fall=Fall.ONE_STEP,
    steps=(
        Step(code="basic", names={"zh-CN": "普通会员", "en": "Member"}, reach_from=0),
        _step("silver", 500, 300, ("银卡会员", "Silver"), Benefits(multiplier_percent=110, birthday_points=100)),
        _step(
            "gold",
            2000,
            1200,
            ("金卡会员", "Gold"),
            Benefits(
                multiplier_percent=120,
                birthday_points=188,
                member_price_percent=95,
                texts=({"zh-CN": "每月一次免费升杯", "en": "a free upsize once a month"},),
            ),
        ),
        _step(
            "diamond",
            10_000,
            6000,
            ("钻石会员", "Diamond"),
            Benefits(
                multiplier_percent=150,
                birthday_points=388,
                member_price_percent=88,
                free_shipping=True,
                texts=({"zh-CN": "新品提前三天尝", "en": "new teas three days early"},),
            ),
        ),
    ),
)
VISITS: Final = Ladder(
    code="visits",
    names={"zh-CN": "常客", "en": "Regulars"},
    measure=Measure(metric=Metric.VISITS, window=Calendar()),
    validity=CalendarEnd(further=1),
    steps=(
        Step(code="newcomer", names={"zh-CN": "新朋友", "en": "New friend"}, reach_from=0),
        Step(code="regular", names={"zh-CN": "熟客", "en": "Regular"}, reach_from=6),
        Step(
            code="confidant",
            names={"zh-CN": "知己", "en": "Confidant"},
            reach_from=20,
            benefits=Benefits(texts=({"zh-CN": "靠窗座位优先", "en": "first choice of seats"},)),
        ),
    ),
)


async def publish(*, principal: SystemPrincipal, now: datetime) -> None:
    """Put the demo's ladders in force a year before `now`, once."""
    if (await ladders_read.in_force(now)).by_code[MAIN].version:
        return
    begin = now - 2 * YEAR
    for ladder in (MAIN_LADDER, VISITS):
        draft = await ladders.draft(ladder, principal=principal, now=begin)
        await ladders.publish(ladder.code, draft.version, principal=principal, effective_from=begin, now=begin)


async def grow_long_ago(member_ids: Sequence[int], *, now: datetime) -> None:
    """Let members have reached silver almost a year ago, so that their reviews come up one after another."""
    for place, member_id in enumerate(member_ids[:BEFORE_REVIEW]):
        at = now - YEAR + timedelta(days=2 + 3 * place)
        grant = Grant(
            member_id=member_id,
            asset=Asset.GROWTH,
            amount=GROWTH,
            key="demo:last_year",
            kind="import",
            occurred_at=at,
            effective_at=at,
        )
        batch: list[Operation] = [grant]
        await tiers.review_posted(zip(batch, await ledger.post(batch, now=at), strict=True), now=at)
