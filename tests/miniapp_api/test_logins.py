"""Logging in over the real clients against the sandbox platforms, which were written apart from them."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from bot.accounts import ChannelAccounts, TelegramAccount, WechatAccount, WecomAccount
from bot.http import PlatformHttp
from bot.registry import build_channels
from bot.sandbox.app import create_sandbox
from loyalty import clock, config, db
from loyalty.access import Role
from loyalty.staff import service as staff
from miniapp_api.context import ApiContext
from tests.bot.sandbox.town import AES_KEY, BOT_TOKEN, CORP, MINI_APP, OA_APP, Product, Town, make_config
from tests.miniapp_api.people import SYSTEM, Api, new_member


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    """A sandbox whose callbacks go nowhere: logins need none."""
    settings = make_config("http://127.0.0.1:9")
    runner = web.AppRunner(create_sandbox(settings))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    session = aiohttp.ClientSession(url, json_serialize=lambda value: json.dumps(value, ensure_ascii=False))
    yield Town(Product(), session, settings)
    await session.close()
    await runner.cleanup()


@pytest.fixture
async def context(settings: config.Settings, town: Town) -> AsyncIterator[ApiContext]:
    base = str(town.http._base_url).rstrip("/") + "/platform"

    def wechat(app_id: str) -> WechatAccount:
        return WechatAccount("main", app_id, "secret", "t", AES_KEY, api_base=f"{base}/wechat")

    accounts = ChannelAccounts(
        wechat_oa=(wechat(OA_APP),),
        wechat_mini=(wechat(MINI_APP),),
        wecom=(WecomAccount("main", CORP, 1000002, "secret", "t", AES_KEY, api_base=f"{base}/wecom"),),
        telegram=(TelegramAccount("main", BOT_TOKEN, "secret", api_base=f"{base}/telegram"),),
    )
    http = PlatformHttp()
    yield ApiContext(settings=settings, channels=build_channels(accounts, http), accounts=accounts)
    await http.close()


async def code_of(town: Town, person: str, verb: str, **body: Any) -> str:
    return str((await town.act(person, verb, **body))["data"]["code"])


async def test_the_mini_program_logs_in_once_per_code(api: Api, town: Town) -> None:
    code = await code_of(town, "lin", "wechat_mini/login")
    opened = await api.post("/v1/sessions/mini-program", {"account": "main", "code": code})
    assert (opened.status, opened.json["audience"], opened.json["is_new"]) == (201, "member", True)
    assert (await api.by(opened.json["token"]).get("/v1/me")).status == 200
    again = await api.post("/v1/sessions/mini-program", {"account": "main", "code": code})
    assert (again.status, again.code) == (401, "login.refused")
    absent = await api.post("/v1/sessions/mini-program", {"account": "other", "code": code})
    assert absent.status == 404
    assert opened.json["token"] not in str(await db.fetch("SELECT * FROM session"))


async def test_a_phone_that_wechat_vouches_for_is_bound(api: Api, town: Town) -> None:
    mine = api.by((await new_member()).token)
    code = await code_of(town, "lin", "wechat_mini/phone")
    bound = await mine.post("/v1/me/phone", {"account": "main", "code": code}, key="bind-phone-1")
    assert (bound.status, "****" in bound.json["phone"]) == (200, True)


async def test_a_telegram_mini_app_logs_in(api: Api, town: Town) -> None:
    proof = (await town.act("lin", "telegram/init_data"))["data"]["init_data"]
    opened = await api.post("/v1/sessions/telegram", {"account": "main", "init_data": proof})
    assert opened.status == 201
    forged = await api.post("/v1/sessions/telegram", {"account": "main", "init_data": proof.replace("hash=", "hash=0")})
    assert (forged.status, forged.code) == (401, "login.refused")


async def test_only_active_staff_log_in(api: Api, town: Town) -> None:
    stranger = await api.post(
        "/v1/sessions/wecom", {"account": "main", "code": await code_of(town, "zhang", "wecom/oauth")}
    )
    assert (stranger.status, stranger.code) == (401, "login.not_staff")
    async with db.unit_of_work():
        await staff.add_staff(
            corp_id=CORP,
            user_id="zhang",
            name="小张",
            role=Role.CLERK,
            store_id=await new_store_id(),
            principal=SYSTEM,
            now=clock.now(),
        )
    opened = await api.post(
        "/v1/sessions/wecom", {"account": "main", "code": await code_of(town, "zhang", "wecom/oauth")}
    )
    assert (opened.status, opened.json["audience"]) == (201, "staff")
    assert (await api.by(opened.json["token"]).get("/v1/me")).status == 401, "a staff session is no member's"


async def new_store_id() -> int:
    """A store inside the unit of work that is open."""
    view = await staff.add_store(code="S-login", name="静安店", city="上海", principal=SYSTEM, now=clock.now())
    return view.id


async def test_a_snapshot_user_never_becomes_a_member(api: Api, town: Town) -> None:
    code = await code_of(town, "lin", "wechat_oa/oauth", scope="snsapi_userinfo", snapshot=True)
    refused = await api.post("/v1/sessions/official-account", {"account": "main", "code": code})
    assert (refused.status, refused.code) == (401, "login.snapshot_user")
    assert await db.fetch_value("SELECT count(*) FROM member") == 0


async def test_oauth_is_bound_to_the_browser_that_asked(api: Api, town: Town) -> None:
    started = await api.get("/v1/oauth/wechat/main/start?return_to=/m/coupons")
    location = urlsplit(started.headers["Location"])
    state = parse_qs(location.query)["state"][0]
    cookie = started.headers["Set-Cookie"].split(";")[0]
    assert "HttpOnly" in started.headers["Set-Cookie"]
    code = await code_of(town, "lin", "wechat_oa/oauth", scope="snsapi_userinfo")
    api.client.session.cookie_jar.clear()
    path = f"/v1/oauth/wechat/main/callback?code={code}&state={state}"
    elsewhere = await api.get(path)
    assert (elsewhere.status, elsewhere.code) == (401, "login.state_mismatch")
    back = await api.get(path, Cookie=cookie)
    page, _, token = back.headers["Location"].partition("#session=")
    assert page == "/m/coupons"
    assert (await api.by(token).get("/v1/me")).status == 200


@pytest.mark.parametrize("way_back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
async def test_a_login_never_leads_elsewhere(api: Api, way_back: str) -> None:
    started = await api.get(f"/v1/oauth/wechat/main/start?return_to={way_back}")
    assert "evil" not in started.headers["Set-Cookie"]
    assert "javascript" not in started.headers["Set-Cookie"]
