"""The control API: people, screens, streams, the wire, the clock, reset, and who may use it."""

import asyncio
import json
from typing import Any

import pytest

from bot.sandbox.access import refusal
from bot.sandbox.wire import redact
from tests.bot.sandbox.town import BOT_TOKEN, OA_APP


async def test_people_are_made_and_changed(town: Any) -> None:
    made = await town.control("POST", "/people", 201, name="小何", phone="13911112222")
    assert made["phone"] == "+8613911112222"
    assert made["wechat"]["openids"][OA_APP].startswith("o")
    changed = await town.control("PATCH", f"/people/{made['id']}", phone="13900000000", flags={"snapshot": True})
    assert (changed["phone"], changed["flags"]["snapshot"], changed["name"]) == ("+8613900000000", True, "小何")
    names = [person["name"] for person in (await town.control("GET", "/people"))["people"]]
    assert names == ["小林", "Mei", "张店员", "小何"]
    staff = await town.control("POST", "/people", 201, id="wang", name="王店长", kind="staff")
    assert staff["wecom"]["userid"] == "wang"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/people", {"id": "a b", "name": "x"}, 400),
        ("POST", "/people", {"kind": "robot", "name": "x"}, 400),
        ("PATCH", "/people/lin", {"flags": {"evil": True}}, 400),
        ("GET", "/people/nobody", {}, 404),
        ("POST", "/people/nobody/act/wechat_oa/follow", {}, 404),
        ("POST", "/people/lin/act/wechat_oa/fly", {}, 404),
        ("POST", "/people/lin/act/wechat_oa/follow", {"account": "other"}, 404),
        ("POST", "/people/lin/act/telegram/tap", {"line": 99}, 409),
        ("POST", "/people/lin/act/telegram/say", {}, 409),
        ("POST", "/clock", {"advance_s": -1}, 400),
        ("POST", "/clock", {"advance_s": "soon"}, 400),
        ("POST", "/verify", {"channel": "telegram"}, 409),
        ("GET", "/media/none", {}, 404),
    ],
)
async def test_refusals_have_a_code(town: Any, method: str, path: str, body: dict[str, Any], status: int) -> None:
    answer = await town.control(method, path, status, **body)
    assert set(answer) == {"error", "message"}


async def test_an_act_that_does_not_wait(town: Any) -> None:
    town.product.delay_s = 0.1
    async with town.http.post("/control/people/lin/act/wechat_oa/follow?wait=0") as response:
        assert (response.status, (await response.json())["delivery"]) == (202, None)
    assert (await town.control("POST", "/settle"))["settled"] is True
    assert town.product.events("subscribe")


async def test_a_long_poll_wakes_up(town: Any) -> None:
    async with town.http.get("/control/people/lin/screen?since=0&wait=0.05") as response:
        assert (await response.json())["lines"] == []

    async def poll() -> Any:
        async with town.http.get("/control/people/lin/screen?since=0&wait=10") as response:
            return await response.json()

    waiting = asyncio.create_task(poll())
    await asyncio.sleep(0.02)
    await town.act("lin", "wechat_oa/follow")
    screen = await asyncio.wait_for(waiting, 2)
    assert screen["lines"][0]["text"] == "已关注公众号"
    assert screen["channels"]["wechat_oa"]["main"]["following"] is True
    assert screen["channels"]["wechat_oa"]["main"]["window"]["kind"] == "action"


async def test_the_live_stream(town: Any) -> None:
    async with town.http.get("/control/events") as stream:
        assert stream.content_type == "text/event-stream"
        await town.act("lin", "telegram/start", payload="p")
        seen: dict[str, Any] = {}
        while {"line", "wire", "world"} - set(seen):
            field, _, value = (await asyncio.wait_for(stream.content.readline(), 2)).decode().strip().partition(": ")
            if field == "event":
                kind = value
            elif field == "data":
                seen.setdefault(kind, json.loads(value))
    assert seen["line"]["line"]["text"] == "/start p"
    assert seen["world"] == {"what": "channels", "person": "lin"}
    assert seen["wire"]["kind"] == "callback"


async def test_a_page_that_is_closed_is_no_error(
    town: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.sandbox.control.STREAM_PING_S", 0.02)
    async with town.http.get("/control/events") as stream:
        await stream.content.readline()
        stream.close()
    await asyncio.sleep(0.2)
    assert caplog.records == []


async def test_the_wire_shows_both_forms_and_no_secret(town: Any) -> None:
    town.product.reply = lambda inbound: town.text_reply(inbound, "好") if "Content" in inbound.message else ""
    await town.act("lin", "wechat_oa/follow")
    await town.act("lin", "wechat_oa/say", text="签到")
    await town.wechat("/cgi-bin/getcallbackip")
    await town.telegram("getMe")
    text = json.dumps(await town.control("GET", "/wire"))
    assert town.tokens[OA_APP] not in text
    assert BOT_TOKEN not in text
    entries = (await town.control("GET", "/wire"))["entries"]
    said = next(entry for entry in entries if "签到" in entry["request"]["clear"])
    assert "<Encrypt>" in said["request"]["raw"]
    assert "签到" not in said["request"]["raw"]
    assert "好" in said["response"]["clear"]
    assert (said["verdict"], said["try"], said["person"]) == ("replied", 1, "lin")
    after = (await town.control("GET", f"/wire?since={said['id']}"))["entries"]
    assert [entry["api"] for entry in after] == ["/cgi-bin/stable_token", "/cgi-bin/getcallbackip", "getMe"]


def test_redaction_keeps_four_characters() -> None:
    assert redact('{"access_token": "abcdefgh", "secret":"x1234567"}') == '{"access_token": "abcd…", "secret":"x123…"}'
    assert (
        redact("https://h/cgi-bin/token?appid=a&secret=12345678&x=1")
        == "https://h/cgi-bin/token?appid=a&secret=1234…&x=1"
    )
    assert redact("http://h/bot123:ABCDEFG/sendMessage") == "http://h/bot123:ABCD…/sendMessage"


async def test_reset_forgets_what_happened_and_keeps_people(town: Any) -> None:
    await town.control("POST", "/people", 201, id="he", name="小何")
    await town.act("lin", "wechat_oa/follow")
    await town.control("POST", "/clock", advance_s=100)
    openid = await town.openid("lin")
    await town.control("POST", "/reset")
    screen = await town.control("GET", "/people/lin/screen")
    assert screen["lines"] == []
    assert screen["channels"]["wechat_oa"]["main"]["following"] is False
    assert await town.openid("lin") == openid
    state = await town.control("GET", "/state")
    assert state["offset_s"] == 0
    assert state["templates"][0]["template_id"] == "tier"
    assert len((await town.control("GET", "/people"))["people"]) == 4
    await town.control("POST", "/reset", people=True)
    assert len((await town.control("GET", "/people"))["people"]) == 3


async def test_templates_can_be_added(town: Any) -> None:
    await town.control("POST", "/templates", 201, template_id="new", title="新", keys=["thing1"])
    listed = await town.wechat("/cgi-bin/template/get_all_private_template")
    assert "new" in [template["template_id"] for template in listed["template_list"]]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost:1"}, 200),
        ({}, 200),
    ],
)
async def test_other_sites_may_not_use_it(town: Any, headers: dict[str, str], status: int) -> None:
    for path in ("/control/people", "/control/wire"):
        async with town.http.get(path, headers=headers) as response:
            assert response.status == status


def test_only_loopback_peers() -> None:
    from aiohttp.test_utils import make_mocked_request

    request = make_mocked_request("GET", "/control/people", {"Host": "127.0.0.1"})
    assert refusal(request.clone(remote="192.168.1.5"))
    assert not refusal(request.clone(remote="127.0.0.1"))
    assert not refusal(request.clone(remote="::1"))


async def test_it_can_be_opened_on_purpose(open_town: Any) -> None:
    town = await open_town(control_open=True)
    async with town.http.get("/control/people", headers={"Host": "demo.example"}) as response:
        assert response.status == 200


async def test_the_products_clock_can_move_along(open_town: Any) -> None:
    offsets: list[float] = []
    town = await open_town(clock_moved=offsets.append)
    await town.control("POST", "/clock", advance_s=86_400)
    await town.act("lin", "wechat_oa/follow")
    now = (await town.control("GET", "/state"))["now"]
    assert offsets == [0.0, 86_400.0]
    assert abs(int(town.product.inbound[0].query["timestamp"]) - now) < 5
