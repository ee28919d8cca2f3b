"""Faults: on calls of the product and on callbacks to it."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from tests.bot.sandbox.town import OA_APP


async def fault(town: Any, **body: Any) -> Any:
    return await town.control("POST", "/faults", 201, **body)


async def ip(town: Any) -> Any:
    return await town.wechat("/cgi-bin/getcallbackip")


async def custom(town: Any) -> Any:
    body = {"touser": await town.openid("lin"), "msgtype": "text", "text": {"content": "hi"}}
    return await town.wechat("/cgi-bin/message/custom/send", body)


async def test_errcode_applies_to_matching_calls_and_runs_out(town: Any) -> None:
    await ip(town)
    await fault(town, platform="wechat", api="/cgi-bin/get*", kind="errcode", value=-1, times=2)
    assert [(await ip(town)).get("errcode") for _ in range(3)] == [-1, -1, None]
    assert (await town.control("GET", "/faults"))["faults"] == []


async def test_slow_and_http(town: Any) -> None:
    await ip(town)
    await fault(town, platform="wechat", kind="slow", value=80, times=1)
    began = time.monotonic()
    await ip(town)
    assert time.monotonic() - began >= 0.08
    await fault(town, platform="*", kind="http", value=503, times=1)
    async with town.http.get("/platform/wechat/cgi-bin/getcallbackip") as response:
        assert response.status == 503


async def test_reset_does_no_work_and_drop_answer_does(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    for kind, shown in [("reset", 0), ("drop_answer", 1)]:
        on = await fault(town, platform="wechat", api="/cgi-bin/message/custom/send", kind=kind)
        with pytest.raises(aiohttp.ClientError):
            await custom(town)
        await town.control("DELETE", f"/faults/{on['id']}")
        lines = [line for line in await town.lines("lin") if line["from"] == "account"]
        assert len(lines) == shown


async def test_quota_per_platform(town: Any) -> None:
    await ip(town)
    await fault(town, platform="*", kind="quota")
    assert (await ip(town))["errcode"] == 45009
    telegram = await town.telegram("getMe")
    assert (telegram["error_code"], telegram["parameters"]) == (429, {"retry_after": 5})


async def test_a_revoked_token_must_be_fetched_again(town: Any) -> None:
    await ip(town)
    await fault(town, platform="wechat", kind="token_revoked", times=1)
    assert (await ip(town))["errcode"] == 40001
    assert (await ip(town))["errcode"] == 40001
    town.tokens.clear()
    assert "ip_list" in await ip(town)


async def test_duplicate_callbacks_arrive_at_the_same_time(town: Any) -> None:
    await fault(town, platform="wechat", api="callback", kind="duplicate", times=1)
    await town.act("lin", "wechat_oa/follow")
    first, second = town.product.inbound
    assert first.message == second.message
    assert first.query["nonce"] != second.query["nonce"]


async def test_reorder_swaps_two_callbacks(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    town.product.inbound.clear()
    await fault(town, platform="wechat", api="callback", kind="reorder", times=1)
    first = asyncio.create_task(town.act("lin", "wechat_oa/say", text="1"))
    since = (await town.lines("lin"))[-1]["rev"]
    async with town.http.get(f"/control/people/lin/screen?since={since}&wait=2") as response:
        assert (await response.json())["lines"][0]["text"] == "1"
    await town.act("lin", "wechat_oa/say", text="2")
    await first
    assert [inbound.message["Content"] for inbound in town.product.inbound] == ["2", "1"]


async def test_a_lost_answer_makes_the_platform_try_again_with_the_same_id(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    town.product.inbound.clear()
    town.product.reply = lambda inbound: town.text_reply(inbound, "好")
    await fault(town, platform="wechat", api="callback", kind="drop_answer", times=1)
    done = await town.act("lin", "wechat_oa/say", text="签到")
    assert done["delivery"]["statuses"] == ["timeout", 200]
    first, second = town.product.inbound
    assert first.message["MsgId"] == second.message["MsgId"]
    assert len([line for line in done["lines"] if line["from"] == "account"]) == 1


async def test_impossible_faults_are_refused(town: Any) -> None:
    for body in (
        {"platform": "wechat", "api": "callback", "kind": "http", "value": 500},
        {"platform": "wechat", "kind": "duplicate"},
        {"platform": "fax", "kind": "slow"},
        {"platform": "wechat", "kind": "http", "value": 200},
        {"platform": "wechat", "kind": "slow", "times": 0},
    ):
        assert (await town.control("POST", "/faults", 400, **body))["error"] == "bad_value"
    assert (await town.control("DELETE", "/faults/f99", 404))["error"] == "unknown_fault"


async def test_all_faults_go_at_once(town: Any) -> None:
    await fault(town, platform="wechat", kind="errcode", value=-1)
    await town.control("DELETE", "/faults")
    grant = {"grant_type": "client_credential", "appid": OA_APP, "secret": "secret"}
    assert "access_token" in await town.raw("/platform/wechat/cgi-bin/token", None, grant)
