"""Messages that arrive beside the chat: text messages and 服务通知, with a badge until they are read."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Control, Visit

pytestmark = pytest.mark.browser


@pytest.fixture
def keys(address: str, home: Path) -> dict[str, str]:
    """The sandbox accounts of this run."""
    assert address
    found: dict[str, str] = json.loads((home / "development.json").read_text(encoding="utf-8"))["keys"]
    return found


async def test_a_text_message_shows_a_badge_until_it_is_read(
    visit: Visit, control: Control, keys: dict[str, str]
) -> None:
    member = await control.newcomer()
    page = await visit(member=member)
    phone = (await control.call("GET", f"people/{member}"))["phone"]
    body = {"phone": phone, "template": "phone_code", "params": {"code": "204816"}}
    await control.platform("sms/send", body, bearer=keys["sms_key"])
    await expect(page.locator("#phone-oa .banner")).to_contain_text("204816")
    bell = page.locator("#phone-oa .bell")
    await expect(bell.locator(".badge")).to_have_text("1")
    await bell.click()
    await expect(page.locator("#phone-oa .sheet .bubble")).to_contain_text("204816")
    await expect(bell.locator(".badge")).to_be_hidden()
    await page.locator("#phone-oa .sheet header .tool").click()
    await expect(page.locator("#phone-oa .sheet")).to_have_count(0)


async def test_a_granted_subscription_message_arrives_as_a_service_notice(
    visit: Visit, control: Control, keys: dict[str, str]
) -> None:
    template = f"tmpl-{secrets.token_hex(4)}"
    await control.call("POST", "templates", {"template_id": template, "title": "等级变更提醒", "keys": ["thing1"]})
    member = await control.newcomer()
    page = await visit(member=member)
    grant = {"template_ids": [template], "accept": True}
    await control.call("POST", f"people/{member}/act/wechat_mini/subscribe", grant)
    answer = await _subscribe_send(control, keys, member, template)
    assert answer["errcode"] == 0, answer
    await expect(page.locator("#phone-mini .bell .badge")).to_have_text("1")
    await page.click("#phone-mini .bell")
    await expect(page.locator("#phone-mini .form-card strong")).to_have_text("等级变更提醒")
    await expect(page.locator("#phone-mini .form-card li")).to_have_text(["恭喜升到银卡"])


async def _subscribe_send(control: Control, keys: dict[str, str], member: str, template: str) -> Any:
    person = await control.call("GET", f"people/{member}")
    account = {"grant_type": "client_credential", "appid": keys["mini_app_id"], "secret": keys["mini_secret"]}
    token = (await control.platform("wechat/cgi-bin/stable_token", account))["access_token"]
    message = {
        "touser": person["wechat"]["openids"][keys["mini_app_id"]],
        "template_id": template,
        "data": {"thing1": {"value": "恭喜升到银卡"}},
    }
    return await control.platform(f"wechat/cgi-bin/message/subscribe/send?access_token={token}", message)
