"""A platform that answers as a test says, and short ways to people, messages and one round of a duty."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from bot.accounts import NoticeTemplate
from bot.channel import Accepted, Outgoing, SendResult
from bot.outbound import Outbound
from handlers.messages import ChannelName
from loyalty import db
from loyalty.identity import service as identity
from loyalty.identity.service import Contact, Person
from loyalty.outbox import queries as outbox_read
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Notice
from loyalty.reach import service as reach
from loyalty.reach.rules import Act
from scheduler.duty import Hands
from scheduler.outbox import send_bulk, send_due

_serial = count(1)
TIER = {"old": "basic", "new": "silver", "growth": 600}


@dataclass
class Platform:
    """One account of a platform: remembers what was sent and answers with `results`, then with acceptance."""

    name: ChannelName
    account: str = "main"
    app_id: str = "wxoa"
    routes: tuple[str, ...] = ("customer_service", "template", "subscribe", "message", "app_message", "group_send")
    sent: list[Outgoing] = field(default_factory=list)
    results: list[SendResult] = field(default_factory=list)
    templates: dict[tuple[str, str], NoticeTemplate] = field(default_factory=dict)
    before: Callable[[Outgoing], Any] | None = None

    async def send(self, message: Outgoing) -> SendResult:
        assert not db.in_unit_of_work()
        if self.before is not None:
            await self.before(message)
        self.sent.append(message)
        return self.results.pop(0) if self.results else Accepted(f"m{len(self.sent)}")

    def template_for(self, notice: str, route: str) -> NoticeTemplate | None:
        return self.templates.get((notice, route))

    def open(self, request: Any) -> Any:
        raise NotImplementedError

    def answer(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def acknowledge(self) -> Any:
        raise NotImplementedError


def hands(*platforms: Platform, sms: Any = None, **settings: Any) -> Hands:
    """A worker's hands with these platforms."""
    return Hands(Outbound({(p.name, p.account): p for p in platforms}, sms=sms, **settings))


async def person(channel: str = "telegram", app_id: str = "wxoa", *, follows: bool = True) -> Person:
    """Somebody new on a channel."""
    now = await db.now()
    who = Contact(channel=channel, account="main", app_id=app_id, external_id=f"7{next(_serial)}")
    async with db.unit_of_work():
        found = await identity.resolve(who, now=now)
        if follows:
            await identity.followed(found.identity_id, scene=None, now=now)
    return found


async def spoke(who: Person, channel: str = "wechat_oa", act: Act = Act.MESSAGE) -> None:
    """The person did something that opens a window."""
    async with db.unit_of_work():
        await reach.renew({who.identity_id: (channel, act)}, now=await db.now())


async def queued(member_id: int | None, key: str = "", **values: Any) -> str:
    """A queued tier notice, unless said otherwise; its key."""
    now = await db.now()
    given: dict[str, Any] = {
        "key": key or f"test:{next(_serial)}",
        "notice": "tier_raised",
        "send_class": "service_notice",
        "purpose": "transaction",
        "member_id": member_id,
        "params": TIER,
        "due_at": now,
        "give_up_at": now + timedelta(days=1),
    }
    notice = Notice(**{**given, **values})
    async with db.unit_of_work():
        await outbox.queue(notice, now=now)
    return notice.key


async def send_all(ours: Hands) -> None:
    """Send what is due now."""
    while await send_due(ours) or await send_bulk(ours):
        pass


async def outcome(key: str) -> tuple[str, str | None]:
    """Status and code of a message."""
    return (await outbox_read.outcomes([key]))[key]


async def due_now(key: str) -> None:
    """As if the pause of a message were over."""
    await db.execute("UPDATE outbox SET due_at = $2 WHERE key = $1", key, datetime.fromisoformat("2020-01-01T00:00Z"))
