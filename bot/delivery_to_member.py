"""A message to a member: by the best way that their platforms and their consent permit at this moment."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Counter

from bot import notice_facts
from bot.accounts import NoticeTemplate
from bot.channel import Accepted, Channel, NeedsTemplates, Outgoing, Rejected, RejectReason, SendResult, Unknown
from bot.delivery import MOMENT, Delivery, Desk, log, rest_until
from bot.notice_facts import Said
from bot.send_policies import POLICIES, Policy
from bot.ways import CUSTOMER_SERVICE, GROUP_SEND, SUBSCRIBE, Way, marketing_purposes, template_data, ways_to
from loyalty import clock, db
from loyalty.consents import queries as consents
from loyalty.identity import service as identity
from loyalty.outbox import queries as outbox_read
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Claimed, Finish
from loyalty.program import queries as program
from loyalty.reach import queries as reach_read
from loyalty.reach import service as reach
from loyalty.reach.queries import Reachable, Recipient
from loyalty.reach.rules import quiet_until

MARKETING_PER_DAY: Final = 1
LOOK_AGAIN_AFTER: Final = timedelta(seconds=30)

MISCONFIGURED: Final = Counter(
    "outbound_misconfigured_total", "Refusals that need an administrator", ["channel", "code"]
)


class DeliveryToMember(Delivery):
    """One try at one message for a member."""

    def __init__(self, desk: Desk, message: Claimed) -> None:
        super().__init__(desk, message)
        self._policy = POLICIES.get(message.notice, Policy())
        self._marketing = message.send_class == "marketing"
        self._later: datetime | None = None

    async def run(self, now: datetime) -> None:
        """Find who it is for, whether it may be sent now, and the first way that takes it."""
        recipient = await self._recipient(now)
        if recipient is None:
            return
        allowed = await self._allowed(recipient)
        if not allowed:
            await self.end("suppressed", "no_consent")
        elif not await self._postponed(recipient, now):
            ways = ways_to(
                recipient,
                self._policy,
                self._template_of,
                marketing=self._marketing,
                allowed=allowed,
                only_identity=self.message.identity_id,
            )
            await self._walk(recipient, ways, now)

    async def _recipient(self, now: datetime) -> Recipient | None:
        member_id = self.message.member_id
        recipient = None if member_id is None else await reach_read.routes_now(member_id, now=now)
        if recipient is not None and recipient.status == "merged":
            # A merge committed after the claim and moved the row to the member who stays; the next claim sees it.
            await self.retry(now + MOMENT, "merged")
            return None
        if recipient is None or recipient.status == "closed":
            await self.end("suppressed", "member_closed")
            return None
        return recipient

    async def _allowed(self, recipient: Recipient) -> set[str]:
        """The purposes under which the member may be written to at this moment."""
        asked = marketing_purposes(recipient) if self._marketing else {self.message.purpose}
        return {purpose for purpose in asked if await consents.answer_for([recipient.member_id], purpose)}

    async def _postponed(self, recipient: Recipient, now: datetime) -> bool:
        terms = (await program.in_force(now)).terms
        if self._marketing or self._policy.waits_for_morning:
            morning = quiet_until(now, terms.quiet_hours, terms.calendar)
            if morning is not None:
                await self.retry(morning, "quiet_hours")
                return True
        if self._marketing:
            today = clock.business_day(now, terms.calendar)
            sent = await outbox_read.marketing_since(recipient.member_id, clock.start_of(today, terms.calendar))
            if sent >= MARKETING_PER_DAY:
                await self.retry(clock.start_of(today + timedelta(days=1), terms.calendar), "frequency_cap")
                return True
        return False

    def _template_of(self, reachable: Reachable, route: str) -> NoticeTemplate | None:
        channel = self.desk.channels.get((reachable.channel, reachable.account))
        return channel.template_for(self.message.notice, route) if isinstance(channel, NeedsTemplates) else None

    async def _walk(self, recipient: Recipient, ways: Sequence[Way], now: datetime) -> None:
        stopped = {stop.spot: stop.until for stop in await reach_read.stops(now=now)}
        said: dict[str, Said | None] = {}
        for way in ways:
            channel = self.desk.channels.get((way.identity.channel, way.identity.account))
            if channel is None or self._rests(way, stopped.get(way.spot), now):
                continue
            locale = way.identity.locale or recipient.locale
            if locale not in said:
                said[locale] = await notice_facts.say(self.message, locale, now=now)
            words = said[locale]
            if words is None:
                await self.end("suppressed", "outdated")
                return
            if await self._try(way, channel, words):
                return
        await self._nowhere(now)

    def _rests(self, way: Way, stopped_until: datetime | None, now: datetime) -> bool:
        until = stopped_until or self.desk.rests_until(way.spot, now)
        if until is not None:
            self._not_before(until)
        return until is not None

    async def _try(self, way: Way, channel: Channel, words: Said) -> bool:
        """True when the message is settled; False to go on with the next way."""
        wait_s = self.desk.pacer.reserve(channel.name, channel.account, way.identity.external_id)
        if wait_s is None:
            self._not_before(await db.now() + MOMENT)
            return False
        outgoing = self._outgoing(way, words)
        await asyncio.sleep(wait_s)
        now = await db.now()
        # Others may have learned meanwhile that the route is to rest.
        if self._rests(way, None, now):
            return False
        async with db.unit_of_work():
            taken = await _take(way, now)
            if taken is None:
                return False
            await self.begin(way.spot)
        await self.has_begun()
        return await self._settle(way, taken, await self.send(channel, outgoing))

    def _outgoing(self, way: Way, words: Said) -> Outgoing:
        template = way.template
        return Outgoing(
            account=way.identity.account,
            external_id=way.identity.external_id,
            route=way.route,
            reply=words.reply,
            client_message_id=self.client_id,
            template_id=template.template_id if template else None,
            template_data=template_data(template, words.facts) if template else None,
            page=(template.page or None) if template else None,
            token=way.identity.staff_user_id if way.route == GROUP_SEND else None,
        )

    async def _settle(self, way: Way, taken: str, result: SendResult) -> bool:
        match result:
            case Accepted(platform_message_id=platform_message_id):
                await self.end("accepted", platform_message_id=platform_message_id)
            case Unknown():
                await self.end("unknown", "unknown")
            case Rejected():
                return await self._refused(way, taken, result)
        return True

    async def _refused(self, way: Way, taken: str, refusal: Rejected) -> bool:
        """Write down what the refusal teaches; True when the message is settled by it."""
        now = await db.now()
        settled = refusal.reason in {RejectReason.CONTENT, RejectReason.RATE}
        async with db.unit_of_work():
            await _learn(way, taken, refusal, now)
            if refusal.reason is RejectReason.CONTENT:
                await outbox.finish(self.message, Finish(status="rejected", code=refusal.code), now=now)
            elif refusal.reason is RejectReason.RATE:
                due_at = max(rest_until(refusal, now), now + self.pause())
                await outbox.retry_at(self.message, due_at, code=refusal.code)
        if refusal.reason in {RejectReason.QUOTA, RejectReason.CONFIGURATION}:
            self.desk.stop(way.spot, rest_until(refusal, now))
            self._not_before(rest_until(refusal, now))
        log.info("refused", outbox_id=self.message.id, route=way.route, reason=refusal.reason, code=refusal.code)
        return settled

    async def _nowhere(self, now: datetime) -> None:
        """No way is open: what rests is waited for, what nobody can reach waits or is dropped as its row says."""
        if self._later is not None:
            await self.retry(self._later, "resting")
        elif self._policy.on_unreachable == "wait":
            await self.retry(now + max(LOOK_AGAIN_AFTER, self.pause()), "unreachable")
        else:
            await self.end("suppressed", "unreachable")

    def _not_before(self, moment: datetime) -> None:
        self._later = moment if self._later is None else min(self._later, moment)


async def _take(way: Way, now: datetime) -> str | None:
    """Use one message of the way's window or grant up; None when somebody else took the last one."""
    if way.route == CUSTOMER_SERVICE:
        return await reach.take_window(way.identity.identity_id, now=now)
    if way.route == SUBSCRIBE and way.template is not None:
        taken = await reach.take_grant(way.identity.identity_id, way.template.template_id, now=now)
        return way.template.template_id if taken else None
    return way.route


async def _learn(way: Way, taken: str, refusal: Rejected, now: datetime) -> None:
    """What a refusal says about the person and the account; what was not used up is given back."""
    identity_id = way.identity.identity_id
    match refusal.reason:
        case RejectReason.NO_WINDOW:
            await reach.close_windows(identity_id)
            return
        case RejectReason.NO_GRANT:
            await reach.grant_used_up(identity_id, taken, now=now)
            return
        case RejectReason.BLOCKED:
            await reach.close_windows(identity_id)
            await identity.blocked(identity_id, now=now)
            return
        case RejectReason.QUOTA | RejectReason.CONFIGURATION:
            reason = f"{refusal.reason}:{refusal.code}"
            await reach.stop(*way.spot, until=rest_until(refusal, now), reason=reason)
            if refusal.reason is RejectReason.CONFIGURATION:
                MISCONFIGURED.labels(way.identity.channel, refusal.code).inc()
        case _:
            pass
    if way.route == CUSTOMER_SERVICE:
        await reach.give_back_window(identity_id, taken)
    elif way.route == SUBSCRIBE:
        await reach.give_back_grant(identity_id, taken, now=now)
