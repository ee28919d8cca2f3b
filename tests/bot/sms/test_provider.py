from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.accounts import SmsAccount
from bot.channel import Accepted, Rejected, RejectReason, Unknown
from bot.http import PlatformHttp
from bot.sms.provider import HttpSms, SmsProvider

PHONE = "+8613800138000"


class Gateway:
    """A provider that answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], dict[str, object]]] = []
        self.answers: list[web.Response | None] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/send", self._send)
        return app

    async def _send(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.json()))
        answer = self.answers.pop(0)
        if answer is not None:
            return answer
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@pytest.fixture
async def http() -> AsyncIterator[PlatformHttp]:
    pool = PlatformHttp()
    yield pool
    await pool.close()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def sms(gateway: Gateway, http: PlatformHttp) -> AsyncIterator[SmsProvider]:
    async with TestServer(gateway.application()) as server:
        yield HttpSms(SmsAccount(str(server.make_url("/api/")), "the-key", signature="小惠"), http)


async def test_a_code_is_sent_as_a_registered_template(sms: SmsProvider, gateway: Gateway) -> None:
    gateway.answers.append(web.json_response({"message_id": "s1"}))
    assert await sms.send_code(PHONE, "482913") is True
    ((headers, body),) = gateway.requests
    assert body == {"phone": PHONE, "template": "phone_code", "params": {"code": "482913"}, "signature": "小惠"}
    assert headers["Authorization"] == "Bearer the-key"
    assert len(headers["Idempotency-Key"]) == 32


async def test_a_lost_answer_is_tried_once_more_under_the_same_key(sms: SmsProvider, gateway: Gateway) -> None:
    gateway.answers += [None, web.json_response({"message_id": "s1"})]
    assert await sms.send_code(PHONE, "482913") is True
    first, second = (headers["Idempotency-Key"] for headers, _ in gateway.requests)
    assert first == second
    gateway.answers += [None, None]
    assert await sms.send_code(PHONE, "482913") is False
    assert len(gateway.requests) == 4


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, RejectReason.CONTENT),
        (401, RejectReason.CONFIGURATION),
        (404, RejectReason.CONFIGURATION),
        (418, RejectReason.CONTENT),
        (422, RejectReason.BLOCKED),
        (429, RejectReason.RATE),
    ],
)
async def test_refusals_say_what_to_do_next(
    sms: SmsProvider, gateway: Gateway, status: int, reason: RejectReason
) -> None:
    gateway.answers.append(web.json_response({"code": "no", "message": "because"}, status=status))
    result = await sms.send(PHONE, "phone_code", {"code": "1"}, message_id="m")
    assert isinstance(result, Rejected)
    assert (result.reason, result.code, result.detail) == (reason, "no", "because")
    assert (result.retry_after_s is not None) == (reason is RejectReason.RATE)
    gateway.answers.append(web.Response(status=status))
    assert await sms.send_code(PHONE, "1") is False


async def test_answers_that_say_nothing_are_unknown(sms: SmsProvider, gateway: Gateway) -> None:
    for answer in (web.Response(status=500), web.Response(text="ok"), web.Response(status=302)):
        gateway.answers.append(answer)
        assert isinstance(await sms.send(PHONE, "t", {}, message_id="m"), Unknown)
    gateway.answers.append(web.json_response({}))
    assert await sms.send(PHONE, "t", {}, message_id="m") == Accepted()


async def test_an_unreachable_provider_received_nothing(http: PlatformHttp) -> None:
    nowhere = HttpSms(SmsAccount("http://127.0.0.1:1", "the-key"), http)
    result = await nowhere.send(PHONE, "t", {}, message_id="m")
    assert isinstance(result, Rejected)
    assert (result.reason, result.code) == (RejectReason.RATE, "unreachable")
    assert await nowhere.send_code(PHONE, "1") is False
