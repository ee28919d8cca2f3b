"""Template messages in the TOML file: typed, and every mistake named."""

from typing import Any

import pytest

from bot.accounts import NoticeTemplate
from loyalty import config
from loyalty.config import ConfigError
from xiaohui import accounts

ACCOUNT = {
    "account": "main",
    "app_id": "wx1",
    "app_secret": "s",
    "token": "t",
    "encoding_aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
}


def read(**tables: Any) -> Any:
    settings = config.load({"XIAOHUI_CONFIG": "xiaohui.toml"})
    sections = {"wechat_oa": [{**ACCOUNT, **tables}]}
    object.__setattr__(settings, "channel_sections", sections)
    return accounts.read(settings).wechat_oa[0]


def test_an_account_has_no_templates_unless_told() -> None:
    account = read()
    assert account.templates == account.subscriptions == {}


def test_templates_and_subscriptions_are_read_by_notice() -> None:
    account = read(
        templates={"tier_raised": {"id": "T1", "fields": {"thing1": "tier"}}},
        subscriptions={"points_expiring": {"id": "S1", "fields": {"number1": "points"}, "page": "/m/points"}},
    )
    assert account.templates == {"tier_raised": NoticeTemplate("T1", {"thing1": "tier"})}
    assert account.subscriptions["points_expiring"].page == "/m/points"


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        ({"templates": "T1"}, "templates: expected tables"),
        ({"templates": {"tier_raised": {"id": "T1", "fields": {"thing1": 5}}}}, "templates.tier_raised.fields"),
        ({"templates": {"tier_raised": {"id": "T1", "fields": {"thing1": "teir"}}}}, "fields.thing1: no fact 'teir'"),
        ({"templates": {"tier_raised": {"id": "T1", "colour": "red"}}}, "templates.tier_raised.colour"),
        ({"templates": {"birthday": {"id": "T1"}}}, "templates.birthday: template messages carry receipts only"),
    ],
)
def test_every_mistake_is_named(tables: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read(**tables)


def test_failpoints_are_refused_in_production() -> None:
    with pytest.raises(ConfigError, match="XIAOHUI_FAILPOINTS"):
        config.load(
            {
                "XIAOHUI_ENVIRONMENT": "production",
                "XIAOHUI_SECRET": "x" * 32,
                "XIAOHUI_DATABASE_URL": "postgres:///x",
                "XIAOHUI_REDIS_URL": "redis:///0",
                "XIAOHUI_FAILPOINTS": "outbound.sent=kill",
            }
        )
