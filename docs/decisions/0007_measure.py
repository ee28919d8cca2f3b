"""How many outbox messages one worker sends when the platform answers at once.

    .venv/bin/python docs/decisions/0007_measure.py

Everything but the network: claim, choose, consent, render, begin, finish, one message at a time per lane.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any, Final

from bot import pacing
from bot.channel import Accepted, Outgoing, SendResult
from bot.outbound import Outbound
from handlers.messages import ChannelName
from loyalty import clock, config, db, vault
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Notice
from scheduler.duty import Hands
from scheduler.outbox import send_due
from xiaohui.bench import members, stage
from xiaohui.bench.prepared import ACCOUNT

MESSAGES: Final = 500


class Instant:
    """A platform without distance."""

    name: ChannelName = "wechat_oa"
    account = ACCOUNT.account
    app_id = "bench"
    routes = ("customer_service",)
    open: Any = None
    answer: Any = None
    acknowledge: Any = None

    async def send(self, message: Outgoing) -> SendResult:
        """Take it."""
        return Accepted(message.client_message_id)


async def measure(at: stage.Stage) -> None:
    """Print messages per second."""
    vault.unlock(at.secret.encode())
    await db.connect(at.database_url, pool_size=10)
    pacing.PACES["wechat_oa"] = pacing.Pace(per_second=1e6)  # type: ignore[index] - the pace is not what is measured
    ids = await members.accounts(MESSAGES)
    now = clock.now()
    await db.execute(
        "INSERT INTO reach_window (identity_id, kind, remaining, expires_at)"
        " SELECT id, 'message', 5, $1 FROM channel_identity ON CONFLICT DO NOTHING",
        now + timedelta(days=1),
    )
    notices = [
        Notice(
            key=f"bench:{now.timestamp()}:{member_id}",
            notice="tier_raised",
            send_class="service_notice",
            purpose=outbox.TRANSACTION,
            member_id=member_id,
            params={"old": "basic", "new": "silver", "growth": 600},
            due_at=now,
            give_up_at=now + timedelta(days=1),
        )
        for member_id in ids
    ]
    async with db.unit_of_work():
        await outbox.queue(*notices, now=now)
    hands = Hands(Outbound({("wechat_oa", ACCOUNT.account): Instant()}, sms=None))
    begin = time.perf_counter()
    while await send_due(hands):
        pass
    took = time.perf_counter() - begin
    sent = await db.fetch_value("SELECT count(*) FROM outbox WHERE status = 'accepted' AND key LIKE 'bench:%'")
    print(f"{sent} messages in {took:.1f} s: {sent / took:.0f}/s")  # noqa: T201 - the result
    await db.disconnect()


def main() -> None:
    """On a database of its own, removed afterwards."""
    with stage.servers(config.load()) as ready, stage.folder() as where:
        at = asyncio.run(stage.create_database(ready, where))
        try:
            asyncio.run(measure(at))
        finally:
            asyncio.run(stage.drop_database(ready, at))


if __name__ == "__main__":
    main()
