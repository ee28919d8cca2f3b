"""One try at one message: what all ways of delivering share.

A delivery is begun (committed) before the network is touched and finished after it; what happens in between
is of unknown outcome when the process dies.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from bot.channel import Channel, Outgoing, Rejected, RejectReason, SendResult, Unknown
from bot.pacing import Breaker, Pacer
from bot.sms.provider import SmsProvider
from handlers.messages import ChannelName
from loyalty import db, failpoints
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Claimed, FinalStatus, Finish

FAILURES_MAX: Final = 6
MOMENT: Final = timedelta(seconds=2)
PAUSE_MAX: Final = timedelta(minutes=30)
QUOTA_REST: Final = timedelta(hours=1)
CONFIGURATION_REST: Final = timedelta(minutes=5)
ASK_AGAIN_AFTER_S: Final = 2.0
# Longer than two tries with their timeouts.
SENDING_LASTS: Final = timedelta(seconds=45)

Spot = tuple[str, str, str]
"""Channel, account and route: what rests together when a platform says stop."""

log = structlog.get_logger("outbound")
SENT: Final = Counter("outbound_total", "Sends by way and outcome", ["channel", "route", "outcome"])
SUPPRESSED: Final = Counter("suppressed_total", "Messages that were not sent, by reason", ["reason"])
DEAD: Final = Counter("outbox_dead_total", "Messages that ended without being accepted", ["reason"])
BREAKER_OPEN: Final = Gauge("breaker_state", "1 while an API is left alone because it fails", ["api"])


class LeaseLost(Exception):
    """Another sender has the message: nothing of it may be sent here."""


class Desk:
    """The ways out of this process, with what is remembered about their state."""

    def __init__(
        self,
        channels: Mapping[tuple[ChannelName, str], Channel],
        sms: SmsProvider | None,
        *,
        breaker_rest_s: float,
        ask_again_after_s: float,
    ) -> None:
        self.channels: dict[tuple[str, str], Channel] = {(str(n), account): c for (n, account), c in channels.items()}
        self.sms = sms
        self.pacer = Pacer()
        self.ask_again_after_s = ask_again_after_s
        self._stops: dict[Spot, datetime] = {}
        self._breakers: dict[Spot, Breaker] = {}
        self._breaker_rest_s = breaker_rest_s

    def breaker(self, spot: Spot) -> Breaker:
        """The breaker of one route of one account."""
        return self._breakers.setdefault(spot, Breaker(rest_s=self._breaker_rest_s))

    def stop(self, spot: Spot, until: datetime) -> None:
        """Remember here what is also written down for every process: the route rests."""
        self._stops[spot] = until

    def rests_until(self, spot: Spot, now: datetime) -> datetime | None:
        """Until when this process leaves a route alone; None when it may be used."""
        rest_s = self.breaker(spot).rests_for()
        until = max(now + timedelta(seconds=rest_s), self._stops.get(spot, now))
        return until if until > now else None

    def tell_breaker(self, spot: Spot, result: SendResult) -> None:
        """What became of a call: no answer and "too busy" are failures, every other refusal is an answer."""
        failed = isinstance(result, Unknown) or (isinstance(result, Rejected) and result.reason is RejectReason.RATE)
        breaker = self.breaker(spot)
        breaker.tell(failed=failed)
        BREAKER_OPEN.labels("/".join(spot)).set(breaker.is_open)


class Delivery:
    """One message in the hands of this sender."""

    def __init__(self, desk: Desk, message: Claimed) -> None:
        self.desk = desk
        self.message = message
        self.begun = False

    async def begin(self, spot: Spot) -> None:
        """Write down, inside the open unit of work, that sending begins.

        Raises:
            LeaseLost: the lease ran out; the unit of work must not commit.
        """
        until = await db.now() + SENDING_LASTS
        if not await outbox.begin(self.message, channel=spot[0], account=spot[1], route=spot[2], lease_until=until):
            raise LeaseLost

    async def has_begun(self) -> None:
        """The beginning is committed: from here on a death of this process leaves the outcome unknown."""
        self.begun = True
        await failpoints.reach("outbound.begun")

    async def send(self, channel: Channel, outgoing: Outgoing) -> SendResult:
        """One send; a lost answer is asked for again only where the platform drops the second copy."""
        result = await channel.send(outgoing)
        if isinstance(result, Unknown) and is_deduplicated(channel.name, outgoing):
            await asyncio.sleep(self.desk.ask_again_after_s)
            result = await channel.send(outgoing)
        await failpoints.reach("outbound.sent")
        spot = (channel.name, channel.account, outgoing.route)
        self.desk.tell_breaker(spot, result)
        SENT.labels(channel.name, outgoing.route, outcome_of(result)).inc()
        return result

    async def end(
        self, status: FinalStatus, code: str | None = None, *, platform_message_id: str | None = None
    ) -> None:
        """Record the outcome."""
        now = await db.now()
        async with db.unit_of_work():
            outcome = Finish(status=status, platform_message_id=platform_message_id, code=code)
            await outbox.finish(self.message, outcome, now=now)
        if status == "suppressed":
            SUPPRESSED.labels(code or "").inc()
        elif status != "accepted":
            DEAD.labels(code or status).inc()

    async def retry(self, due_at: datetime, code: str) -> None:
        """Put the message back until `due_at`."""
        async with db.unit_of_work():
            await outbox.retry_at(self.message, due_at, code=code)

    async def put_back_after_failure(self) -> None:
        """Our own mistake with this message: tried again a few times, then dead."""
        if self.message.attempts >= FAILURES_MAX:
            await self.end("rejected", "broken")
        else:
            await self.retry(await db.now() + self.pause(), "broken")

    def pause(self) -> timedelta:
        """How long to wait after so many tries."""
        return min(PAUSE_MAX, MOMENT * (1 << min(self.message.attempts, 12)))

    @property
    def client_id(self) -> str:
        """The same for every try of this message."""
        return hashlib.sha256(self.message.key.encode()).hexdigest()[:32]


def rest_until(refusal: Rejected, now: datetime) -> datetime:
    """Until when to leave a route alone after `refusal`."""
    if refusal.retry_after_s is not None:
        return now + timedelta(seconds=refusal.retry_after_s)
    match refusal.reason:
        case RejectReason.QUOTA:
            return now + QUOTA_REST
        case RejectReason.CONFIGURATION:
            return now + CONFIGURATION_REST
        case _:
            return now + MOMENT


def outcome_of(result: SendResult) -> str:
    """The outcome as metrics name it."""
    return str(result.reason) if isinstance(result, Rejected) else type(result).__name__.lower()


def is_deduplicated(channel: ChannelName, outgoing: Outgoing) -> bool:
    """Whether the platform drops a second copy with the same client message id."""
    if channel == "wechat_oa":
        return outgoing.route == "template"
    return channel == "wecom" and outgoing.reply.card is not None and bool(outgoing.reply.buttons)
