"""Paying from end to end: asked for, paid at the platform, told, stored once; also when nobody tells."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from bot.calls import CallFailed
from bot.channel import Rejected, Unknown
from bot.http import PlatformHttp
from bot.outbound import Outbound
from bot.wechat_pay.client import WechatPay
from bot.wechat_pay.hook import PayHook
from loyalty import clock, db
from loyalty.payments import service as payments
from loyalty.payments.rules import State
from loyalty.payments.service import OPEN_FOR, PaymentView
from scheduler import payments as duty
from scheduler.duty import Hands
from tests.bot.wechat_pay.platform_side import (
    MERCHANT,
    account,
    notification,
    sealed,
    signed_headers,
    transaction,
)
from tests.loyalty.payments.test_service import asked_for
from tests.loyalty.stored_value.wallets import halves, keeps_stored_value

pytestmark = pytest.mark.usefixtures("database")

SIGNED = re.compile(
    r'WECHATPAY2-SHA256-RSA2048 mchid="(\d+)",nonce_str="(\w+)",signature="([^"]+)",timestamp="(\d+)",serial_no="(\w+)"'
)


class Platform:
    """Answers as WeChat Pay does: refuses what the merchant did not sign, signs what it says."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.paid: set[str] = set()
        self.closed: set[str] = set()
        self.signs = True

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v3/pay/transactions/jsapi", self.prepay)
        app.router.add_get("/v3/pay/transactions/out-trade-no/{no}", self.query)
        app.router.add_post("/v3/pay/transactions/out-trade-no/{no}/close", self.close)
        return app

    async def prepay(self, request: web.Request) -> web.Response:
        await self._check(request)
        order = await request.json()
        self.orders[order["out_trade_no"]] = order
        return self._answer(b'{"prepay_id":"wx2611215250487459928b659bd466620000"}')

    async def query(self, request: web.Request) -> web.Response:
        await self._check(request)
        number = request.match_info["no"]
        if number not in self.orders:
            return web.json_response({"code": "ORDER_NOT_EXIST", "message": "订单不存在"}, status=404)
        state = "SUCCESS" if number in self.paid else "NOTPAY"
        total = self.orders[number]["amount"]["total"]
        return self._answer(transaction(number, total, trade_state=state).encode())

    async def close(self, request: web.Request) -> web.Response:
        await self._check(request)
        self.closed.add(request.match_info["no"])
        return self._answer(b"", status=204)

    async def _check(self, request: web.Request) -> None:
        match = SIGNED.fullmatch(request.headers["Authorization"])
        assert match is not None
        mch_id, nonce, signature, timestamp, _serial = match.groups()
        assert mch_id == "1230000109"
        body = (await request.read()).decode()
        message = f"{request.method}\n{request.path_qs}\n{timestamp}\n{nonce}\n{body}\n"
        MERCHANT.public_key().verify(base64.b64decode(signature), message.encode(), padding.PKCS1v15(), hashes.SHA256())

    def _answer(self, body: bytes, status: int = 200) -> web.Response:
        headers = signed_headers(body, at=clock.wall()) if self.signs else {}
        return web.Response(status=status, body=body, content_type="application/json", headers=headers)


@pytest.fixture
async def platform() -> AsyncIterator[tuple[Platform, WechatPay]]:
    them, http = Platform(), PlatformHttp()
    async with TestServer(them.app()) as server:
        ours = account(api_base=f"http://127.0.0.1:{server.port}")
        yield them, WechatPay(ours, http, notify_url="https://brand.example/hooks/wechat_pay/main")
    await http.close()


@pytest.fixture
async def door(platform: tuple[Platform, WechatPay]) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    app.add_routes(PayHook({"main": platform[1]}).routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def tell(door: Any, number: str, amount_fen: int, *, event: str = "TRANSACTION.SUCCESS", **changed: str) -> int:
    body = notification(sealed(transaction(number, amount_fen)), event_type=event)
    headers = {**signed_headers(body, at=clock.wall()), **changed}
    async with door.post("/hooks/wechat_pay/main", data=body, headers=headers) as answer:
        return int(answer.status)


async def now_asked(amount_fen: int = 100_000) -> PaymentView:
    payment = await asked_for(amount_fen)
    # Asked for just now by the wall clock, which platforms live by.
    async with db.unit_of_work():
        await db.execute(
            "UPDATE payment SET created_at = $2, expires_at = $3, ask_at = $2 WHERE id = $1",
            payment.id,
            clock.now(),
            clock.now() + OPEN_FOR,
        )
    return await payments.find(payment.number)


async def test_a_told_payment_is_stored_once_however_often_it_is_told(door: Any) -> None:
    await keeps_stored_value()
    payment = await now_asked()
    heard = await asyncio.gather(*(tell(door, payment.number, 100_000) for _ in range(20)))
    assert set(heard) == {204}
    assert await halves(payment.member_id) == (100_000, 20_000)


async def test_what_differs_is_heard_and_not_stored(door: Any) -> None:
    await keeps_stored_value()
    payment = await now_asked()
    assert await tell(door, payment.number, 1) == 204
    assert await halves(payment.member_id) == (0, 0)
    assert (await payments.find(payment.number)).alert == "amount_fen"


async def test_forged_malformed_and_unknown(door: Any) -> None:
    await keeps_stored_value()
    payment = await now_asked()
    probe = {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/AAAA"}
    assert await tell(door, payment.number, 100_000, **probe) == 403
    assert await tell(door, "XH-never", 100_000) == 204
    assert await tell(door, payment.number, 100_000, event="REFUND.SUCCESS") == 204
    body = b"[]"
    async with door.post("/hooks/wechat_pay/main", data=body, headers=signed_headers(body, at=clock.wall())) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "FAIL")
    async with door.post("/hooks/wechat_pay/other", data=body) as answer:
        assert answer.status == 404
    assert await halves(payment.member_id) == (0, 0)


async def test_the_mini_program_pays_what_was_asked_for(platform: tuple[Platform, WechatPay]) -> None:
    them, ours = platform
    payment = await now_asked()
    asked = await ours.ask(payment, payer="oA", description="小惠", now=clock.now())
    message = f"wxd678efh567hg6787\n{asked.time_stamp}\n{asked.nonce_str}\n{asked.package}\n"
    MERCHANT.public_key().verify(
        base64.b64decode(asked.pay_sign), message.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    order = them.orders[payment.number]
    assert (order["amount"], order["payer"]) == ({"total": 100_000, "currency": "CNY"}, {"openid": "oA"})
    assert order["notify_url"] == "https://brand.example/hooks/wechat_pay/main"


async def test_nobody_told_and_the_platform_is_asked(platform: tuple[Platform, WechatPay]) -> None:
    await keeps_stored_value()
    them, ours = platform
    payment = await now_asked()
    await ours.ask(payment, payer="oA", description="小惠", now=clock.now())
    hands = Hands(Outbound({}, sms=None), pay={"main": ours})
    await duty.ask(hands)
    assert (await payments.find(payment.number)).status is State.OPEN
    them.paid.add(payment.number)
    clock.shift(timedelta(minutes=2))
    await duty.ask(hands)
    assert (await payments.find(payment.number)).status is State.PAID
    assert await halves(payment.member_id) == (100_000, 20_000)


async def test_what_nobody_paid_in_time_is_closed_at_the_platform_too(platform: tuple[Platform, WechatPay]) -> None:
    them, ours = platform
    payment = await now_asked()
    await ours.ask(payment, payer="oA", description="小惠", now=clock.now())
    clock.shift(OPEN_FOR + timedelta(seconds=1))
    await duty.ask(Hands(Outbound({}, sms=None), pay={"main": ours}))
    assert them.closed == {payment.number}
    assert (await payments.find(payment.number)).status is State.CLOSED


async def test_an_unsigned_answer_says_nothing(platform: tuple[Platform, WechatPay]) -> None:
    them, ours = platform
    payment = await now_asked()
    them.signs = False
    with pytest.raises(CallFailed) as failed:
        await ours.ask(payment, payer="oA", description="小惠", now=clock.now())
    assert isinstance(failed.value.result, Unknown)


async def test_an_order_the_platform_never_heard_of_is_open(platform: tuple[Platform, WechatPay]) -> None:
    _, ours = platform
    assert (await ours.look_up(await now_asked())).state is State.OPEN
    http = PlatformHttp()
    away = WechatPay(replace(ours.account, api_base="http://127.0.0.1:1"), http, notify_url="https://x")
    with pytest.raises(CallFailed) as failed:
        await away.look_up(await now_asked())
    await http.close()
    assert not isinstance(failed.value.result, Rejected)
