"""The table of platforms: one row per folder, one channel per configured account."""

from pathlib import Path

import pytest

import bot
from bot.accounts import ChannelAccounts
from bot.http import PlatformHttp
from bot.registry import CHANNELS, build_channels
from loyalty.errors import Bug
from tests.bot.remembered_tokens import remembered
from tests.bot.telegram import platform_side as telegram
from tests.bot.wechat_oa import platform_side as wechat
from tests.bot.wecom import platform_side as wecom

EVERYTHING = ChannelAccounts(
    wechat_oa=(wechat.account(), wechat.account(account="second", app_id="wx2")),
    wechat_mini=(wechat.account(),),
    wecom=(wecom.account(),),
    telegram=(telegram.account(),),
)


def test_every_folder_with_an_adapter_has_a_row() -> None:
    (package,) = bot.__path__
    assert {path.parent.name for path in Path(package).glob("*/adapter.py")} == set(CHANNELS)


def test_each_account_becomes_a_channel_under_its_own_name() -> None:
    channels = build_channels(EVERYTHING, PlatformHttp(), remembered)
    assert len(channels) == 5
    for (name, account), channel in channels.items():
        assert (channel.name, channel.account) == (name, account)
        assert channel.routes
    assert channels["wechat_oa", "second"].app_id == "wx2"


def test_nothing_configured_is_nothing_built() -> None:
    assert build_channels(ChannelAccounts(), PlatformHttp(), remembered) == {}


def test_two_accounts_of_one_name_do_not_start() -> None:
    twice = ChannelAccounts(wechat_oa=(wechat.account(), wechat.account(app_id="wx2")))
    with pytest.raises(Bug, match="wechat_oa/main"):
        build_channels(twice, PlatformHttp(), remembered)
