"""What the API needs from the process that mounts it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from redis.asyncio import Redis

from bot.accounts import ChannelAccounts
from bot.channel import Channel
from bot.wechat_pay.client import WechatPay
from loyalty.config import Settings


class SmsSender(Protocol):
    """Sends one short code; every provider folder has one."""

    async def send_code(self, phone: str, code: str) -> bool:
        """True when the provider accepted the message for `phone` (E.164)."""
        ...


@dataclass(slots=True)
class Lifecycle:
    """Whether this process still takes work; the front door sets `draining` before it stops."""

    draining: bool = False


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The surroundings of every request of one process."""

    settings: Settings
    channels: Mapping[Any, Channel] = field(default_factory=dict)
    accounts: ChannelAccounts = field(default_factory=ChannelAccounts)
    pay: Mapping[str, WechatPay] = field(default_factory=dict)
    sms: SmsSender | None = None
    redis: Redis | None = None
    lifecycle: Lifecycle = field(default_factory=Lifecycle)

    def is_trusted_proxy(self, address: str) -> bool:
        """Whether `address` may tell us who its client is."""
        return any(_inside(address, network) for network in self.settings.trusted_proxies)


def _inside(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        return False
