"""The product's own channels against the sandbox: the two sides were written apart and must fit."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.accounts import SmsAccount, TelegramAccount, WechatAccount, WecomAccount
from bot.calls import CallFailed
from bot.channel import Accepted, Rejected, RejectReason
from bot.http import PlatformHttp
from bot.sms.provider import HttpSms
from bot.telegram.client import TelegramClient
from bot.wechat_mini.client import MiniProgramClient
from bot.wechat_oa.client import OfficialAccountClient, SnapshotUser
from bot.wecom.client import WecomClient
from bot.wx_api import CodeRefused
from handlers.messages import MenuItem
from tests.bot.remembered_tokens import remembered
from tests.bot.sandbox.town import AES_KEY, BOT_TOKEN, CORP, MINI_APP, OA_APP


@pytest.fixture
async def http() -> AsyncIterator[PlatformHttp]:
    platform = PlatformHttp()
    yield platform
    await platform.close()


def base(town: Any, platform: str) -> str:
    return str(town.http._base_url).rstrip("/") + f"/platform/{platform}"


def wechat(town: Any, app_id: str) -> WechatAccount:
    return WechatAccount("main", app_id, "secret", "t", AES_KEY, api_base=base(town, "wechat"))


def wecom(town: Any, http: PlatformHttp) -> WecomClient:
    account = WecomAccount("main", CORP, 1000002, "secret", "t", AES_KEY, api_base=base(town, "wecom"))
    return WecomClient(account, http, remembered)


async def test_official_account(town: Any, http: PlatformHttp) -> None:
    client = OfficialAccountClient(wechat(town, OA_APP), http, remembered)
    openid = await town.openid("lin")
    refused = await client.send_text(openid, "早")
    assert isinstance(refused, Rejected)
    assert refused.reason is RejectReason.NO_WINDOW
    qr = await client.create_qr("store-1")
    await town.act("lin", "wechat_oa/scan", ticket=qr.ticket)
    assert isinstance(await client.send_text(openid, "早上好"), Accepted)
    assert (await client.follower(openid)).subscribed
    await client.create_menu([MenuItem("会员", children=(MenuItem("签到", key="checkin"),))])
    await town.act("lin", "wechat_oa/menu", path=[0, 0])
    assert town.product.inbound[-1].message["EventKey"] == "checkin"
    assert await client.upload_image(b"\x89PNG", "a.png")
    data = {"thing1": {"value": "黄金"}, "time2": {"value": "2026-01-01"}}
    sent = await client.send_template(openid, "tier", data, client_message_id="m1", url=None)
    assert isinstance(sent, Accepted)
    no_grant = await client.send_subscription(openid, "tier", data, page=None)
    assert isinstance(no_grant, Rejected)
    await town.act("lin", "wechat_oa/subscribe", template_ids=["tier"])
    assert isinstance(await client.send_subscription(openid, "tier", data, page=None), Accepted)
    assert (await client.sign_page("https://shop.example/")).app_id == OA_APP
    await town.control("POST", "/settle")


async def test_official_account_login(town: Any, http: PlatformHttp) -> None:
    client = OfficialAccountClient(wechat(town, OA_APP), http, remembered)
    url = client.login_url("https://shop.example/back", "s", with_union_id=True)
    async with town.http.get(url.split("#")[0] + "&person=lin", allow_redirects=False) as response:
        code = response.headers["Location"].split("code=")[1].split("&")[0]
    login = await client.exchange_code(code)
    assert login.openid == await town.openid("lin")
    with pytest.raises(CodeRefused):
        await client.exchange_code(code)
    virtual = (await town.act("lin", "wechat_oa/oauth", snapshot=True))["data"]["code"]
    with pytest.raises(SnapshotUser):
        await client.exchange_code(virtual)


async def test_a_revoked_token_is_renewed_by_the_product(town: Any, http: PlatformHttp) -> None:
    client = OfficialAccountClient(wechat(town, OA_APP), http, remembered)
    openid = await town.openid("lin")
    await client.follower(openid)
    await town.control("POST", "/faults", platform="wechat", kind="token_revoked", times=1)
    assert not (await client.follower(openid)).subscribed


async def test_mini_program(town: Any, http: PlatformHttp) -> None:
    client = MiniProgramClient(wechat(town, MINI_APP), http, remembered)
    login = await client.exchange_code((await town.act("lin", "wechat_mini/login"))["data"]["code"])
    assert login.openid == await town.openid("lin", MINI_APP)
    for person, phone in [("lin", "+8613800000001"), ("mei", "+4915100000001")]:
        code = (await town.act(person, "wechat_mini/phone"))["data"]["code"]
        assert (await client.phone_number(code)).number == phone
        with pytest.raises(CodeRefused):
            await client.phone_number(code)
    assert (await client.code_picture("m=1")).startswith(b"\x89PNG")
    assert await client.check_text(login.openid, "小林")
    data = {"thing1": {"value": "黄金"}, "time2": {"value": "2026-01-01 10:00"}}
    await town.act("lin", "wechat_mini/subscribe", template_ids=["tier"])
    assert isinstance(await client.send_subscription(login.openid, "tier", data, page="pages/a"), Accepted)
    assert isinstance(await client.send_subscription(login.openid, "tier", data, page=None), Rejected)
    await town.control("POST", "/settle")


async def test_wecom_staff_and_customers(town: Any, http: PlatformHttp) -> None:
    client = wecom(town, http)
    sent = await client.send("zhang", {"msgtype": "text", "text": {"content": "早"}})
    assert sent.platform_message_id
    with pytest.raises(CallFailed):
        await client.send("nobody", {"msgtype": "text", "text": {"content": "早"}})
    code = (await town.act("zhang", "wecom/oauth"))["data"]["code"]
    assert await client.staff_of_login(code) == "zhang"
    await client.create_menu([MenuItem("找会员", key="find"), MenuItem("扫码", key="scan", camera=True)])
    await town.act("zhang", "wecom/menu", path=[1], result="member-code")
    assert town.product.inbound[-1].message["ScanCodeInfo"]["ScanResult"] == "member-code"
    way = await client.customers.add_contact_way(["zhang"], state="store-1")
    await town.act("lin", "wecom/add_staff", config_id=way.config_id)
    event = town.product.inbound[-1].message
    await client.customers.welcome(event["WelcomeCode"], "欢迎")
    await client.customers.remark("zhang", event["ExternalUserID"], name="小林", phones=["13800000001"])
    customer = await client.customers.customer(event["ExternalUserID"])
    assert customer.name == "小林"
    assert len((await client.customers.customers_of(["zhang"]))[0]) == 1
    task = await client.customers.add_group_send([event["ExternalUserID"]], "周末双倍")
    await town.act("zhang", "wecom/confirm", msgid=task.message_id)
    assert len(await client.customers.group_send_results(task.message_id, "zhang")) == 1


async def test_telegram(town: Any, http: PlatformHttp) -> None:
    client = TelegramClient(TelegramAccount("main", BOT_TOKEN, "s3cret", api_base=base(town, "telegram")), http)
    number = (await town.person("lin"))["telegram"]["id"]
    with pytest.raises(CallFailed):
        await client.send_message({"chat_id": number, "text": "早"})
    await town.act("lin", "telegram/start")
    markup = {"inline_keyboard": [[{"text": "签到", "callback_data": "c"}]]}
    assert (await client.send_message({"chat_id": number, "text": "早", "reply_markup": markup})).platform_message_id
    await town.act("lin", "telegram/tap", line=(await town.lines("lin"))[-1]["id"], button="签到")
    query = town.product.inbound[-1].message["callback_query"]
    await client.answer_press({"callback_query_id": query["id"], "text": "好"})
    await client.set_webhook(town.config.telegram[0].callback_url, "s3cret")
    assert (await client.webhook_status()).pending == 0
    await client.set_commands([("checkin", "签到")])
    assert await client.username() == "xiaohui_bot"


async def test_sms(town: Any, http: PlatformHttp) -> None:
    provider = HttpSms(SmsAccount(base(town, "sms"), "smskey", "小惠"), http)
    sent = await provider.send("+8613800000001", "code", {"code": "123456"}, message_id="m1")
    assert sent == await provider.send("+8613800000001", "code", {"code": "123456"}, message_id="m1")
    assert [line["text"] for line in await town.lines("lin", "sms")] == ["【小惠】验证码 123456"]
    wrong = await provider.send("+8613800000001", "ad", {}, message_id="m2")
    assert isinstance(wrong, Rejected)
