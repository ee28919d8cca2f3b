"""What outbound tests share: platforms with templates, refusals, windows, grants and consents."""

from datetime import UTC, datetime

from bot.accounts import NoticeTemplate
from bot.channel import Rejected, RejectReason, SendResult
from loyalty import clock, db
from loyalty.consents import service as consents
from loyalty.identity.service import Person
from loyalty.outbox import service as outbox
from loyalty.reach import queries as reach_read
from loyalty.reach import service as reach
from tests.scheduler.stage import Platform, queued

FIELDS = {"thing1": "tier", "date2": "today"}
NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)


def rejected(reason: RejectReason, code: str = "1", retry_after_s: float | None = None) -> Rejected:
    return Rejected(reason, code, "", retry_after_s)


def official(*results: SendResult, **templates: NoticeTemplate) -> Platform:
    return Platform(
        "wechat_oa", results=list(results), templates={("tier_raised", route): t for route, t in templates.items()}
    )


async def window_left(who: Person) -> int:
    recipient = await reach_read.routes_now(who.member_id, now=await db.now())
    assert recipient is not None
    return next(i.window_left for i in recipient.identities if i.identity_id == who.identity_id)


async def granted(who: Person, template_id: str = "s1") -> None:
    async with db.unit_of_work():
        await reach.record_choices(who.identity_id, {template_id: "accept"}, now=await db.now())


async def marketing(who: Person) -> str:
    return await queued(who.member_id, send_class="marketing", purpose=outbox.MARKETING)


async def allow_marketing(who: Person, purpose: str = "marketing_telegram", *, allow: bool = True) -> None:
    async with db.unit_of_work():
        answer = consents.grant if allow else consents.withdraw
        await answer(who.member_id, purpose, channel="telegram", evidence="test", now=await db.now())


async def at_noon() -> None:
    """Outside of the quiet hours."""
    clock.shift(clock.offset() + NOON - await db.now())
