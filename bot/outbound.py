"""Outbound: each message by the best way that is open for its person at this very moment.

Claimed before (`loyalty.outbox`); here it is chosen and rendered (reads), begun (committed before the network
is touched), sent outside any unit of work, and finished. What each refusal changes about the person and the
account is written in the same unit of work as the outcome. Nothing of unknown outcome is sent again unless
the platform itself drops the second copy.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from bot import notice_facts
from bot.accounts import NoticeTemplate
from bot.channel import Accepted, Channel, NeedsTemplates, Outgoing, Rejected, RejectReason, SendResult, Unknown
from bot.pacing import Breaker, Pacer
from bot.send_policies import POLICIES, Policy
from bot.sms.provider import CODE_TEMPLATE, SmsProvider
from bot.ways import GROUP_SEND, SUBSCRIBE, Way, marketing_purposes, template_data, ways_to
from handlers.messages import ChannelName
from loyalty import clock, db, failpoints
from loyalty.consents import queries as consents
from loyalty.identity import service as identity
from loyalty.outbox import queries as outbox_read
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Claimed, Finish
from loyalty.phones import service as phones
from loyalty.program import queries as program
from loyalty.reach import queries as reach_read
from loyalty.reach import service as reach
from loyalty.reach.queries import Reachable, Recipient
from loyalty.reach.rules import quiet_until
from loyalty.staff import queries as staff
from loyalty.vault import SealBroken

FAILURES_MAX: Final = 6
RATE_PAUSE_S: Final = 2.0
PAUSE_MAX: Final = timedelta(minutes=30)
QUOTA_REST: Final = timedelta(hours=1)
CONFIGURATION_REST: Final = timedelta(minutes=5)
PROBE_PAUSE_S: Final = 2.0
MARKETING_PER_DAY: Final = 1

log = structlog.get_logger("outbound")
SENT: Final = Counter("outbound_total", "Sends by way and outcome", ["channel", "route", "outcome"])
SUPPRESSED: Final = Counter("suppressed_total", "Messages that were not sent, by reason", ["reason"])
DEAD: Final = Counter("outbox_dead_total", "Messages that ended without being accepted", ["reason"])
BREAKER_OPEN: Final = Gauge("breaker_state", "1 while an API is left alone because it fails", ["api"])
MISCONFIGURED: Final = Counter(
    "outbound_misconfigured_total", "Refusals that need an administrator", ["channel", "code"]
)


class LeaseLost(Exception):
    """Another sender has the message: nothing of it may be sent here."""


class Outbound:
    """Delivers claimed messages; one per worker process."""

    def __init__(
        self,
        channels: Mapping[tuple[ChannelName, str], Channel],
        *,
        sms: SmsProvider | None,
        breaker_rest_s: float = 30.0,
    ) -> None:
        self.channels: dict[tuple[str, str], Channel] = {(str(n), account): c for (n, account), c in channels.items()}
        self.sms = sms
        self.pacer = Pacer()
        self._breakers: dict[tuple[str, str, str], Breaker] = {}
        self._breaker_rest_s = breaker_rest_s

    def breaker(self, spot: tuple[str, str, str]) -> Breaker:
        """The breaker of one route of one account."""
        return self._breakers.setdefault(spot, Breaker(rest_s=self._breaker_rest_s))

    async def deliver(self, message: Claimed) -> None:
        """Send one message, or decide what becomes of it. Never raises for what a platform or a message does."""
        delivery = _Delivery(self, message)
        try:
            await delivery.run()
        except LeaseLost:
            log.warning("lease_lost", outbox_id=message.id)
        except Exception:
            log.exception("delivery_failed", outbox_id=message.id, notice=message.notice)
            if not delivery.begun:
                await delivery.put_back_after_failure()


class _Delivery:
    """One try at one message."""

    def __init__(self, desk: Outbound, message: Claimed) -> None:
        self.begun = False
        self._desk = desk
        self._message = message
        self._policy: Policy = POLICIES[message.notice] if message.notice in POLICIES else Policy(on_unreachable="drop")
        self._later: datetime | None = None

    async def run(self) -> None:
        message, now = self._message, await db.now()
        await failpoints.reach("outbound.claimed")
        if now >= message.give_up_at:
            await self._end("expired", "too_late")
        elif message.notice == phones.NOTICE:
            await self._by_sms()
        elif message.staff_id is not None:
            await self._to_staff(now)
        else:
            await self._to_member(now)

    async def put_back_after_failure(self) -> None:
        """Our own mistake with this message: tried again a few times, then dead with its reason."""
        if self._message.attempts >= FAILURES_MAX:
            await self._end("rejected", "broken")
        else:
            await self._retry(await db.now() + self._backoff(), "broken")

    async def _to_member(self, now: datetime) -> None:
        message = self._message
        recipient = await self._recipient(now)
        if recipient is None:
            return
        marketing = message.send_class == "marketing"
        allowed: set[str] = set()
        if marketing:
            for purpose in marketing_purposes(recipient):
                if await consents.answer_for([recipient.member_id], purpose):
                    allowed.add(purpose)
        elif not await consents.answer_for([recipient.member_id], message.purpose):
            await self._suppress("no_consent")
            return
        if marketing and not allowed:
            await self._suppress("no_consent")
            return
        if await self._postponed(recipient, now, marketing=marketing):
            return
        ways = ways_to(
            recipient,
            self._policy,
            self._template_of,
            marketing=marketing,
            allowed=allowed,
            only_identity=message.identity_id,
        )
        await self._walk(recipient, ways, now)

    async def _recipient(self, now: datetime) -> Recipient | None:
        message = self._message
        recipient = None if message.member_id is None else await reach_read.routes_now(message.member_id, now=now)
        if recipient is None or recipient.status in {"closed", "restricted"}:
            await self._suppress("member_closed")
            return None
        if recipient.status == "merged":
            # The merge that is just committed moved the row to the survivor; the next claim reads it there.
            await self._retry(now + timedelta(seconds=RATE_PAUSE_S), "merged")
            return None
        return recipient

    async def _postponed(self, recipient: Recipient, now: datetime, *, marketing: bool) -> bool:
        terms = (await program.in_force(now)).terms
        if marketing or self._policy.waits_for_morning:
            morning = quiet_until(now, terms.quiet_hours, terms.calendar)
            if morning is not None:
                await self._retry(morning, "quiet_hours")
                return True
        if marketing:
            today = clock.business_day(now, terms.calendar)
            if (
                await outbox_read.marketing_since(recipient.member_id, clock.start_of(today, terms.calendar))
                >= MARKETING_PER_DAY
            ):
                await self._retry(clock.start_of(today + timedelta(days=1), terms.calendar), "frequency_cap")
                return True
        return False

    def _template_of(self, reachable: Reachable, route: str) -> NoticeTemplate | None:
        channel = self._desk.channels.get((reachable.channel, reachable.account))
        return channel.template_for(self._message.notice, route) if isinstance(channel, NeedsTemplates) else None

    async def _walk(self, recipient: Recipient, ways: Sequence[Way], now: datetime) -> None:
        stopped = {(stop.channel, stop.account, stop.route): stop.until for stop in await reach_read.stops(now=now)}
        said: dict[str, notice_facts.Said | None] = {}
        for way in ways:
            channel = self._desk.channels.get((way.identity.channel, way.identity.account))
            if channel is None:
                continue
            rest_s = self._desk.breaker(way.spot).rests_for()
            until = stopped.get(way.spot) or (now + timedelta(seconds=rest_s) if rest_s else None)
            if until is not None:
                self._not_before(until)
                continue
            locale = way.identity.locale or recipient.locale
            if locale not in said:
                said[locale] = await notice_facts.say(self._message, locale, now=now)
            words = said[locale]
            if words is None:
                await self._suppress("outdated")
                return
            if await self._try(way, channel, self._outgoing(way, words)):
                return
        await self._nowhere(now)

    def _outgoing(self, way: Way, words: notice_facts.Said) -> Outgoing:
        template = way.template
        return Outgoing(
            account=way.identity.account,
            external_id=way.identity.external_id,
            route=way.route,
            reply=words.reply,
            client_message_id=_client_id(self._message),
            template_id=template.template_id if template else None,
            template_data=template_data(template, words.facts) if template else None,
            page=(template.page or None) if template else None,
            token=way.identity.staff_user_id if way.route == GROUP_SEND else None,
        )

    async def _try(self, way: Way, channel: Channel, outgoing: Outgoing) -> bool:
        """True when the message is settled; False to go on with the next way."""
        wait_s = self._desk.pacer.reserve(channel.name, channel.account, outgoing.external_id)
        if wait_s is None:
            self._not_before(await db.now() + timedelta(seconds=RATE_PAUSE_S))
            return False
        await asyncio.sleep(wait_s)
        taken = await self._begin(way)
        if taken is None:
            return False
        result = await self._send(channel, outgoing, way.spot)
        return await self._settle(way, taken, result)

    async def _begin(self, way: Way) -> str | None:
        """Take one message of the way's window or grant and commit that sending begins; None when it is used up."""
        now = await db.now()
        async with db.unit_of_work():
            taken = await _take(way, now)
            if taken is None:
                return None
            if not await outbox.begin(
                self._message, channel=way.identity.channel, account=way.identity.account, route=way.route
            ):
                raise LeaseLost
        self.begun = True
        await failpoints.reach("outbound.begun")
        return taken

    async def _send(self, channel: Channel, outgoing: Outgoing, spot: tuple[str, str, str]) -> SendResult:
        result = await channel.send(outgoing)
        if isinstance(result, Unknown) and _is_deduplicated(channel.name, outgoing):
            await asyncio.sleep(PROBE_PAUSE_S)
            result = await channel.send(outgoing)
        await failpoints.reach("outbound.sent")
        self._tell_breaker(spot, result)
        outcome = result.reason if isinstance(result, Rejected) else type(result).__name__.lower()
        SENT.labels(channel.name, outgoing.route, outcome).inc()
        return result

    def _tell_breaker(self, spot: tuple[str, str, str], result: SendResult) -> None:
        breaker = self._desk.breaker(spot)
        failed = isinstance(result, Unknown) or (isinstance(result, Rejected) and result.reason is RejectReason.RATE)
        breaker.tell(failed=failed)
        BREAKER_OPEN.labels("/".join(spot)).set(breaker.is_open)

    async def _settle(self, way: Way, taken: str, result: SendResult) -> bool:
        now = await db.now()
        match result:
            case Accepted(platform_message_id=platform_message_id):
                await self._end("accepted", None, platform_message_id=platform_message_id)
                return True
            case Unknown():
                await self._end("unknown", "unknown")
                return True
            case Rejected():
                return await self._refused(way, taken, result, now)

    async def _refused(self, way: Way, taken: str, refusal: Rejected, now: datetime) -> bool:
        """Write down what the refusal teaches; True when the message is settled by it."""
        async with db.unit_of_work():
            await _learn(way, taken, refusal, now)
            match refusal.reason:
                case RejectReason.CONTENT:
                    await outbox.finish(self._message, Finish(status="rejected", code=refusal.code), now=now)
                    DEAD.labels("content").inc()
                    return True
                case RejectReason.RATE:
                    pause = max(timedelta(seconds=refusal.retry_after_s or RATE_PAUSE_S), self._backoff())
                    await outbox.retry_at(self._message, now + pause, code=refusal.code)
                    return True
                case RejectReason.QUOTA | RejectReason.CONFIGURATION:
                    self._not_before(_rest_until(refusal, now))
                case _:
                    pass
        log.info("way_closed", outbox_id=self._message.id, route=way.route, reason=refusal.reason, code=refusal.code)
        return False

    async def _nowhere(self, now: datetime) -> None:
        if self._later is not None:
            await self._retry(self._later, "resting")
        elif self._policy.on_unreachable == "wait":
            await self._retry(now + max(timedelta(seconds=30), self._backoff()), "unreachable")
        else:
            await self._suppress("unreachable")

    async def _to_staff(self, now: datetime) -> None:
        message = self._message
        contact = await staff.contact(message.staff_id or 0)
        if contact is None:
            await self._suppress("staff_gone")
            return
        corp_id, user_id = contact
        channel = next(
            (c for (name, _), c in self._desk.channels.items() if name == "wecom" and c.app_id == corp_id), None
        )
        words = await notice_facts.say(message, "zh-CN", now=now)
        if channel is None or words is None:
            await self._suppress("unreachable" if channel is None else "outdated")
            return
        outgoing = Outgoing(channel.account, user_id, "app_message", words.reply, _client_id(message))
        await self._only_way(channel, outgoing)

    async def _only_way(self, channel: Channel, outgoing: Outgoing) -> None:
        spot = (channel.name, channel.account, outgoing.route)
        now = await db.now()
        resting = next(
            (s.until for s in await reach_read.stops(now=now) if (s.channel, s.account, s.route) == spot), None
        )
        wait_s = self._desk.pacer.reserve(channel.name, channel.account, outgoing.external_id)
        rest_s = self._desk.breaker(spot).rests_for()
        if resting is not None or wait_s is None or rest_s:
            await self._retry(resting or now + timedelta(seconds=rest_s or RATE_PAUSE_S), "resting")
            return
        await asyncio.sleep(wait_s)
        async with db.unit_of_work():
            if not await outbox.begin(self._message, channel=spot[0], account=spot[1], route=spot[2]):
                raise LeaseLost
        self.begun = True
        await failpoints.reach("outbound.begun")
        await self._settle_only(spot, await self._send(channel, outgoing, spot))

    async def _settle_only(self, spot: tuple[str, str, str], result: SendResult) -> None:
        now = await db.now()
        match result:
            case Accepted(platform_message_id=platform_message_id):
                await self._end("accepted", None, platform_message_id=platform_message_id)
            case Unknown():
                await self._end("unknown", "unknown")
            case Rejected(reason=RejectReason.RATE | RejectReason.QUOTA | RejectReason.CONFIGURATION):
                until = _rest_until(result, now)
                async with db.unit_of_work():
                    if result.reason is not RejectReason.RATE:
                        await reach.stop(*spot, until=until, reason=f"{result.reason}:{result.code}")
                    await outbox.retry_at(self._message, max(until, now + self._backoff()), code=result.code)
            case Rejected():
                await self._end("rejected", result.code)

    async def _by_sms(self) -> None:
        message, sms = self._message, self._desk.sms
        if sms is None:
            await self._suppress("no_sms_provider")
            return
        try:
            issued = phones.code_to_send(message.member_id or 0, message.params)
        except (SealBroken, KeyError):
            await self._suppress("outdated")
            return
        async with db.unit_of_work():
            if not await outbox.begin(message, channel="sms", account="main", route=CODE_TEMPLATE):
                raise LeaseLost
        self.begun = True
        await failpoints.reach("outbound.begun")
        result = await sms.send(issued.number, CODE_TEMPLATE, {"code": issued.code}, message_id=_client_id(message))
        if isinstance(result, Unknown):
            # The provider sends once per message id, so asking again is safe.
            result = await sms.send(issued.number, CODE_TEMPLATE, {"code": issued.code}, message_id=_client_id(message))
        await failpoints.reach("outbound.sent")
        SENT.labels("sms", CODE_TEMPLATE, type(result).__name__.lower()).inc()
        await self._settle_only(("sms", "main", CODE_TEMPLATE), result)

    def _not_before(self, moment: datetime) -> None:
        self._later = moment if self._later is None else min(self._later, moment)

    def _backoff(self) -> timedelta:
        return min(PAUSE_MAX, timedelta(seconds=RATE_PAUSE_S * 2 ** min(self._message.attempts, 12)))

    async def _retry(self, due_at: datetime, code: str) -> None:
        async with db.unit_of_work():
            await outbox.retry_at(self._message, due_at, code=code)

    async def _suppress(self, code: str) -> None:
        SUPPRESSED.labels(code).inc()
        await self._end("suppressed", code)

    async def _end(
        self, status: outbox.FinalStatus, code: str | None, *, platform_message_id: str | None = None
    ) -> None:
        now = await db.now()
        async with db.unit_of_work():
            outcome = Finish(status=status, platform_message_id=platform_message_id, code=code)
            await outbox.finish(self._message, outcome, now=now)
        if status != "accepted":
            DEAD.labels(code or status).inc()


async def _take(way: Way, now: datetime) -> str | None:
    if way.route == "customer_service":
        return await reach.take_window(way.identity.identity_id, now=now)
    if way.route == SUBSCRIBE and way.template is not None:
        taken = await reach.take_grant(way.identity.identity_id, way.template.template_id, now=now)
        return way.template.template_id if taken else None
    return way.route


async def _learn(way: Way, taken: str, refusal: Rejected, now: datetime) -> None:
    """What a refusal says about the person and the account; what was not used is given back."""
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
            until = _rest_until(refusal, now)
            await reach.stop(*way.spot, until=until, reason=f"{refusal.reason}:{refusal.code}")
            if refusal.reason is RejectReason.CONFIGURATION:
                MISCONFIGURED.labels(way.identity.channel, refusal.code).inc()
        case _:
            pass
    if way.route == "customer_service":
        await reach.give_back_window(identity_id, taken)
    elif way.route == SUBSCRIBE:
        await reach.give_back_grant(identity_id, taken, now=now)


def _rest_until(refusal: Rejected, now: datetime) -> datetime:
    if refusal.retry_after_s is not None:
        return now + timedelta(seconds=refusal.retry_after_s)
    match refusal.reason:
        case RejectReason.QUOTA:
            return now + QUOTA_REST
        case RejectReason.CONFIGURATION:
            return now + CONFIGURATION_REST
        case _:
            return now + timedelta(seconds=RATE_PAUSE_S)


def _is_deduplicated(channel: ChannelName, outgoing: Outgoing) -> bool:
    """Whether the platform drops a second copy with the same client message id."""
    if channel == "wechat_oa":
        return outgoing.route == "template"
    return channel == "wecom" and outgoing.reply.card is not None and bool(outgoing.reply.buttons)


def _client_id(message: Claimed) -> str:
    return hashlib.sha256(message.key.encode()).hexdigest()[:32]
