"""Messages that have one way only: cards to staff by WeCom, and codes by SMS."""

import asyncio
from datetime import datetime

from bot import notice_facts
from bot.channel import Accepted, Outgoing, Rejected, RejectReason, SendResult, Unknown
from bot.delivery import MOMENT, SENT, Delivery, Spot, outcome_of, rest_until
from bot.sms.provider import CODE_TEMPLATE
from handlers.render import LOCALES
from loyalty import db, failpoints
from loyalty.outbox import service as outbox
from loyalty.phones import service as phones
from loyalty.reach import queries as reach_read
from loyalty.reach import service as reach
from loyalty.staff import queries as staff
from loyalty.vault import SealBroken


class _OneWay(Delivery):
    """A message whose way is known; when it rests, the message waits."""

    async def may_go(self, spot: Spot, now: datetime) -> bool:
        """False when the way rests: the message is put back until then."""
        stopped = next((stop.until for stop in await reach_read.stops(now=now) if stop.spot == spot), None)
        until = stopped or self.desk.rests_until(spot, now)
        if until is None:
            return True
        await self.retry(until, "resting")
        return False

    async def settle(self, spot: Spot, result: SendResult) -> None:
        """Record what became of it."""
        match result:
            case Accepted(platform_message_id=platform_message_id):
                await self.end("accepted", platform_message_id=platform_message_id)
            case Unknown():
                await self.end("unknown", "unknown")
            case Rejected(reason=RejectReason.RATE | RejectReason.QUOTA | RejectReason.CONFIGURATION):
                await self._rest(spot, result)
            case Rejected():
                await self.end("rejected", result.code)

    async def _rest(self, spot: Spot, refusal: Rejected) -> None:
        now = await db.now()
        until = rest_until(refusal, now)
        async with db.unit_of_work():
            if refusal.reason is not RejectReason.RATE:
                self.desk.stop(spot, until)
                await reach.stop(*spot, until=until, reason=f"{refusal.reason}:{refusal.code}")
            await outbox.retry_at(self.message, max(until, now + self.pause()), code=refusal.code)


class DeliveryToStaff(_OneWay):
    """A message to a member of staff, by the WeCom application of their corp."""

    async def run(self, now: datetime) -> None:
        """Send it, unless they left or there is nothing to say any more."""
        contact = await staff.contact(self.message.staff_id or 0)
        if contact is None:
            await self.end("suppressed", "staff_gone")
            return
        corp_id, user_id = contact
        corps = (c for (name, _), c in self.desk.channels.items() if name == "wecom" and c.app_id == corp_id)
        channel = next(corps, None)
        words = await notice_facts.say(self.message, LOCALES[0], now=now)
        if channel is None or words is None:
            await self.end("suppressed", "unreachable" if channel is None else "outdated")
            return
        spot = (channel.name, channel.account, "app_message")
        wait_s = self.desk.pacer.reserve(channel.name, channel.account, user_id)
        if wait_s is None:
            await self.retry(now + MOMENT, "resting")
            return
        if await self.may_go(spot, now):
            await asyncio.sleep(wait_s)
            async with db.unit_of_work():
                await self.begin(spot)
            await self.has_begun()
            outgoing = Outgoing(channel.account, user_id, spot[2], words.reply, self.client_id)
            await self.settle(spot, await self.send(channel, outgoing))


class DeliveryBySms(_OneWay):
    """A code by SMS; number and code are unsealed here and nowhere else."""

    async def run(self, now: datetime) -> None:
        """Send it while it counts."""
        spot = ("sms", "main", CODE_TEMPLATE)
        issued = self._issued()
        if self.desk.sms is None or issued is None:
            await self.end("suppressed", "no_sms_provider" if self.desk.sms is None else "outdated")
            return
        if not await self.may_go(spot, now):
            return
        async with db.unit_of_work():
            await self.begin(spot)
        await self.has_begun()
        result: SendResult = Unknown()
        for _ in range(2):
            # The provider sends once per message id, so asking again after a lost answer is safe.
            result = await self.desk.sms.send(
                issued.number, CODE_TEMPLATE, {"code": issued.code}, message_id=self.client_id
            )
            if not isinstance(result, Unknown):
                break
        await failpoints.reach("outbound.sent")
        self.desk.tell_breaker(spot, result)
        SENT.labels("sms", CODE_TEMPLATE, outcome_of(result)).inc()
        await self.settle(spot, result)

    def _issued(self) -> phones.IssuedCode | None:
        try:
            return phones.code_to_send(self.message.member_id or 0, self.message.params)
        except (SealBroken, KeyError):
            return None
