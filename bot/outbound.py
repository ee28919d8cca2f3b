"""Outbound: each claimed message leaves by the best way that is open for its person at this very moment.

Claimed before (`loyalty.outbox`); here it is chosen and rendered (reads), begun (committed before the network
is touched), sent outside any unit of work, and finished. What each refusal changes about the person and the
account is written in the same unit of work as the outcome. Nothing of unknown outcome is sent again unless
the platform itself drops the second copy.
"""

from collections.abc import Mapping

from bot.channel import Channel
from bot.delivery import ASK_AGAIN_AFTER_S, Desk, LeaseLost, log
from bot.delivery_one_way import DeliveryBySms, DeliveryToStaff
from bot.delivery_to_member import DeliveryToMember
from bot.send_policies import POLICIES
from bot.sms.provider import SmsProvider
from handlers.messages import ChannelName
from loyalty import db, failpoints
from loyalty.outbox.service import Claimed
from loyalty.phones import service as phones


class Outbound:
    """Delivers claimed messages; one per worker process."""

    def __init__(
        self,
        channels: Mapping[tuple[ChannelName, str], Channel],
        *,
        sms: SmsProvider | None,
        breaker_rest_s: float = 30.0,
        ask_again_after_s: float = ASK_AGAIN_AFTER_S,
    ) -> None:
        self.desk = Desk(channels, sms, breaker_rest_s=breaker_rest_s, ask_again_after_s=ask_again_after_s)

    async def deliver(self, message: Claimed) -> None:
        """Send one message, or decide what becomes of it. Never raises for what a platform or a message does."""
        delivery = self._delivery(message)
        try:
            await failpoints.reach("outbound.claimed")
            now = await db.now()
            if now >= message.give_up_at:
                await delivery.end("expired", "too_late")
            elif message.notice not in POLICIES:
                await delivery.end("rejected", "unknown_notice")
            else:
                await delivery.run(now)
        except LeaseLost:
            log.warning("lease_lost", outbox_id=message.id)
        except Exception:  # noqa: BLE001 - one bad message must not hold up the others
            log.exception("delivery_failed", outbox_id=message.id, notice=message.notice)
            # Once begun, the outcome is unknown: the lease runs out and says so.
            if not delivery.begun:
                await delivery.put_back_after_failure()

    def _delivery(self, message: Claimed) -> DeliveryToMember | DeliveryToStaff | DeliveryBySms:
        if message.notice == phones.NOTICE:
            return DeliveryBySms(self.desk, message)
        if message.staff_id is not None:
            return DeliveryToStaff(self.desk, message)
        return DeliveryToMember(self.desk, message)
