"""A duty: something that is looked at whenever its bell rings and at least every so often."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from bot.channel import Channel
from bot.outbound import Outbound
from bot.wechat_pay.client import WechatPay
from handlers.messages import ChannelName


@dataclass(frozen=True, slots=True)
class Hands:
    """What a duty may need beside the database: the ways out of this process, and whether it is about to end."""

    outbound: Outbound
    channels: Mapping[tuple[ChannelName, str], Channel] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    pay: Mapping[str, WechatPay] = field(default_factory=dict)


Run = Callable[[Hands], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Duty:
    """`run` does one bounded batch and returns whether more is waiting; it opens its own units of work."""

    name: str
    every: timedelta
    run: Run
