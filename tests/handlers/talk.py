"""Talking to the product in tests: through the router, as any channel does, without HTTP."""

import asyncio
import re
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from bot.wx_text import wechat_text
from handlers.messages import (
    CardPressed,
    ChannelName,
    Click,
    Content,
    Follow,
    Inbound,
    Reply,
    Sender,
    SenderKind,
    Text,
)
from handlers.router import Answer, Router
from loyalty import clock

CORP = "ww1"
_serial = count(1)


class Person:
    """Somebody with a phone: says, presses and scans, and sees the last reply."""

    def __init__(
        self,
        channel: ChannelName = "wechat_oa",
        *,
        name: str = "",
        locale: str | None = None,
        union_id: str | None = None,
    ) -> None:
        app_id = {"wechat_oa": "wxoa", "wechat_mini": "wxmini", "wecom": CORP, "telegram": "4242"}[channel]
        external_id = name or f"o{next(_serial)}"
        self.sender = Sender(channel, "main", app_id, external_id, union_id=union_id, locale=locale)
        self.router = Router()
        self.reply = Reply()

    async def does(self, content: Content, *, key: str | None = None) -> Answer:
        """Any message or event."""
        inbound = Inbound(self.sender, key or f"k{next(_serial)}", clock.now(), content)
        answer = await self.router.dispatch(inbound)
        self.reply = answer.reply
        fits_platform(self.sender, answer.reply)
        return answer

    async def says(self, text: str, *, key: str | None = None) -> str:
        """Type something; what is read afterwards."""
        await self.does(Text(text), key=key)
        return words(self.reply)

    async def presses(self, key: str) -> str:
        """Press a button by what it carries, whether or not it is shown."""
        await self.does(Click(key))
        return words(self.reply)

    async def presses_shown(self, pattern: str) -> str:
        """Press the button of the last reply whose label or key matches."""
        button = next(b for b in self.reply.buttons if re.search(pattern, b.text) or re.search(pattern, b.key))
        return await self.presses(button.key)

    async def follows(self, scene: str | None = None) -> str:
        """Follow, start the bot."""
        await self.does(Follow(scene))
        return words(self.reply)


class Clerk(Person):
    """A member of staff in WeCom."""

    def __init__(self, user_id: str) -> None:
        super().__init__("wecom", name=user_id)
        self.sender = replace(self.sender, kind=SenderKind.STAFF)

    async def presses(self, key: str) -> str:
        """Press a button of a template card."""
        task = self.reply.card.task_id if self.reply.card is not None else None
        await self.does(CardPressed(task or "t", key, response_code="r"))
        return words(self.reply)


def fits_platform(sender: Sender, reply: Reply) -> None:
    """Nothing of a reply is cut by its platform."""
    if sender.channel in {"wechat_oa", "wechat_mini"}:
        shown = wechat_text(reply)
        assert len(reply.buttons) <= 8
        assert all(button.text in shown for button in reply.buttons)
        assert not shown.split("\n\n<a")[0].endswith("…"), shown
    elif sender.channel == "wecom" and reply.card is not None:
        assert len(reply.card.title) <= 26
        assert len(reply.card.rows) <= 6
        assert all(len(row.label) <= 5 and len(row.value) <= 30 for row in reply.card.rows)
        assert len(reply.card.body) <= 112
        assert len(reply.buttons) <= 6
    assert all(len(button.key.encode()) <= 64 for button in reply.buttons)


def words(reply: Reply) -> str:
    """Everything that can be read in a reply, buttons apart."""
    card = reply.card
    lines = [reply.text] if reply.text else []
    if card is not None:
        lines += [card.title, *(f"{row.label}：{row.value}" for row in card.rows), card.body]
    return "\n".join(line for line in lines if line)


def keys(reply: Reply) -> list[str]:
    """What the buttons carry."""
    return [button.key for button in reply.buttons]


def at(moment: datetime) -> None:
    """Let the product's clock show `moment` from now on."""
    clock.shift(moment - datetime.now(UTC))


def later(by: timedelta) -> None:
    """Let time pass."""
    clock.shift(clock.offset() + by)


async def at_once(*acts: Coroutine[Any, Any, str]) -> list[str]:
    """What several people read who act at the same moment."""
    return list(await asyncio.gather(*acts))
