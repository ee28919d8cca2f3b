"""A duty: something that is looked at whenever its bell rings and at least every so often."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.accounts import SmsAccount
from bot.channel import Channel
from bot.http import PlatformHttp
from handlers.messages import ChannelName


@dataclass(frozen=True, slots=True)
class Hands:
    """What a duty may need beside the database: the ways out of this process."""

    channels: Mapping[tuple[ChannelName, str], Channel]
    http: PlatformHttp
    sms: SmsAccount | None = None
    public_url: str = ""
    state: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Duty:
    """`run` does one bounded batch and returns whether more is waiting; it opens its own units of work."""

    name: str
    every: timedelta
    run: Callable[[Hands], Awaitable[bool]]
