"""Every platform we speak: one row each. A new channel is a folder and a row here.

Platform libraries are heavy to import, so each row loads its own only when an account of it is configured.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from bot.accounts import ChannelAccounts
from bot.channel import Channel
from bot.http import PlatformHttp
from bot.tokens import LeasedTokens, TokenFactory
from handlers.messages import ChannelName
from loyalty.errors import ensure

if TYPE_CHECKING:
    from bot.wechat_pay.client import WechatPay

Build = Callable[[ChannelAccounts, PlatformHttp, TokenFactory], Iterable[Channel]]


def _wechat_oa(accounts: ChannelAccounts, http: PlatformHttp, tokens: TokenFactory) -> Iterable[Channel]:
    from bot.wechat_oa.adapter import WechatOfficialAccount

    return [WechatOfficialAccount(account, http, tokens) for account in accounts.wechat_oa]


def _wechat_mini(accounts: ChannelAccounts, http: PlatformHttp, tokens: TokenFactory) -> Iterable[Channel]:
    from bot.wechat_mini.adapter import WechatMiniProgram

    return [WechatMiniProgram(account, http, tokens) for account in accounts.wechat_mini]


def _wecom(accounts: ChannelAccounts, http: PlatformHttp, tokens: TokenFactory) -> Iterable[Channel]:
    from bot.wecom.adapter import WecomChannel

    return [WecomChannel(account, http, tokens) for account in accounts.wecom]


def _telegram(accounts: ChannelAccounts, http: PlatformHttp, _tokens: TokenFactory) -> Iterable[Channel]:
    from bot.telegram.adapter import TelegramChannel

    return [TelegramChannel(account, http) for account in accounts.telegram]


CHANNELS: Final[Mapping[ChannelName, Build]] = {
    "wechat_oa": _wechat_oa,
    "wechat_mini": _wechat_mini,
    "wecom": _wecom,
    "telegram": _telegram,
}


def build_pay(accounts: ChannelAccounts, http: PlatformHttp, public_url: str) -> "dict[str, WechatPay]":
    """One client per configured merchant account, by account name.

    Raises:
        ValueError: an account's keys cannot be used.
    """
    if not accounts.wechat_pay:
        return {}
    from bot.wechat_pay.client import WechatPay

    base = public_url.rstrip("/")
    return {
        account.account: WechatPay(account, http, notify_url=f"{base}/hooks/wechat_pay/{account.account}")
        for account in accounts.wechat_pay
    }


def build_channels(
    accounts: ChannelAccounts, http: PlatformHttp, tokens: TokenFactory = LeasedTokens
) -> dict[tuple[ChannelName, str], Channel]:
    """One channel per configured account, by platform and account name.

    Raises:
        Bug: two accounts of one platform have the same name.
        ValueError: an account's keys cannot be used.
    """
    built: dict[tuple[ChannelName, str], Channel] = {}
    for name, build in CHANNELS.items():
        if not getattr(accounts, name):
            continue
        for channel in build(accounts, http, tokens):
            ensure((name, channel.account) not in built, f"one account {name}/{channel.account}")
            built[name, channel.account] = channel
    return built
