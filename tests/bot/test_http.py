"""The way out: deadlines, honest failures, nothing secret in words."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.http import PlatformHttp, SendFailed
from loyalty import db
from loyalty.errors import Bug


@pytest.fixture
async def http() -> AsyncIterator[PlatformHttp]:
    pool = PlatformHttp()
    yield pool
    await pool.close()


async def answer(request: web.Request) -> web.StreamResponse:
    match request.match_info["what"]:
        case "echo":
            return web.Response(body=await request.read(), content_type="text/plain")
        case "slow":
            await asyncio.sleep(5)
        case "drop":
            assert request.transport is not None
            request.transport.abort()
        case "elsewhere":
            raise web.HTTPFound("/echo")
        case "cut":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b'{"errcode":')
            assert request.transport is not None
            request.transport.close()
            return response
    return web.Response(body=b"\x89PNG not json")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{what}", answer)
    app.router.add_route("*", "/bot123:secret/{what}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


async def test_json_goes_out_without_escapes_and_comes_back_parsed(http: PlatformHttp, url: str) -> None:
    result = await http.request("POST", f"{url}/echo", json_body={"content": "签到😀", "n": 2**53 + 1})
    assert "签到😀".encode() in result.body
    assert result.json == {"content": "签到😀", "n": 2**53 + 1}


async def test_what_is_not_json_is_bytes(http: PlatformHttp, url: str) -> None:
    result = await http.request("GET", f"{url}/picture")
    assert (result.json, result.body[:4]) == (None, b"\x89PNG")


@pytest.mark.parametrize("what", ["slow", "drop", "cut"])
async def test_an_answer_that_does_not_come_leaves_the_outcome_unknown(http: PlatformHttp, url: str, what: str) -> None:
    with pytest.raises(SendFailed) as raised:
        await http.request("POST", f"{url}/{what}", json_body={}, timeout_s=0.3)
    assert raised.value.unknown


async def test_what_never_left_is_known_not_to_have_happened(http: PlatformHttp) -> None:
    for address in ("http://127.0.0.1:1/x", "http://no-such-host.invalid/x"):
        with pytest.raises(SendFailed) as raised:
            await http.request("POST", address, json_body={})
        assert not raised.value.unknown


async def test_a_redirect_is_an_answer_and_not_followed(http: PlatformHttp, url: str) -> None:
    assert (await http.request("GET", f"{url}/elsewhere")).status == 302


async def test_nothing_leaves_inside_a_unit_of_work(http: PlatformHttp, url: str, database: None) -> None:
    async with db.unit_of_work():
        with pytest.raises(Bug):
            await http.request("GET", f"{url}/echo")


async def test_no_secret_reaches_a_log_or_an_error(http: PlatformHttp, url: str) -> None:
    with structlog.testing.capture_logs() as logs:
        await http.request("POST", f"{url}/bot123:secret/echo", params={"access_token": "planted"}, json_body={})
        with pytest.raises(SendFailed) as raised:
            await http.request("GET", "http://127.0.0.1:1/bot123:secret/x", params={"secret": "planted"})
    told = repr(logs) + repr(raised.value) + str(raised.value) + repr(raised.value.__cause__)
    assert len(logs) == 2
    assert "secret" not in told
    assert "planted" not in told
