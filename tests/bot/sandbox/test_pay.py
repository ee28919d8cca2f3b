"""WeChat Pay: requests are believed by signature only, payments are told until they are understood."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.channel import Forged, RawRequest
from bot.sandbox.config import PayAccount, SandboxConfig
from bot.sandbox.pay_acts import PAUSES_S
from bot.sandbox.pay_state import PayKeys, kept_keys, made_keys, public_pem
from bot.wechat_pay import codec
from tests.bot.sandbox.town import MINI_APP, Inbound, Town

KEYS = made_keys()
PLATFORM = {KEYS.platform_key_id: codec.platform_key(public_pem(KEYS.platform_key), KEYS.platform_key_id)}
TRADES = "/v3/pay/transactions/out-trade-no/"


def with_pay(config: SandboxConfig) -> SandboxConfig:
    account = PayAccount(
        mch_id=KEYS.mch_id,
        app_ids=frozenset({MINI_APP}),
        merchant_serial=KEYS.merchant_serial,
        merchant_public_key=public_pem(KEYS.merchant_key),
        api_v3_key=KEYS.api_v3_key,
        platform_key=KEYS.platform_key,
        platform_key_id=KEYS.platform_key_id,
    )
    return replace(config, pay=account)


@pytest.fixture
async def town(open_town: Any, state_folder: Path) -> Town:
    opened_town: Town = await open_town(with_pay, state_folder=state_folder)
    return opened_town


async def call(
    town: Town, method: str, path: str, body: Any = None, *, keys: PayKeys = KEYS, sent: bytes | None = None
) -> tuple[int, Any]:
    """One signed call; its answer must be signed, too."""
    content, path = b"" if body is None else json.dumps(body).encode(), f"/platform/wechat_pay{path}"
    authorization = codec.authorization(
        codec.merchant_key(keys.merchant_key),
        mch_id=keys.mch_id,
        serial=keys.merchant_serial,
        method=method,
        path=path,
        body=content.decode(),
        at=datetime.now(UTC),
    )
    headers = {"Authorization": authorization}
    async with town.http.request(method, path, data=content if sent is None else sent, headers=headers) as response:
        raw = await response.read()
        codec.verify(response.headers, raw, PLATFORM, received_at=datetime.now(UTC), window_s=300)
        return response.status, json.loads(raw) if raw else None


async def order(town: Town, **changes: Any) -> dict[str, Any]:
    url = town.config.telegram[0].callback_url.replace("/telegram", "/pay")
    return {
        "appid": MINI_APP,
        "mchid": KEYS.mch_id,
        "description": "储值 100 元",
        "out_trade_no": "XH00000001",
        "notify_url": url,
        "amount": {"total": 10_000, "currency": "CNY"},
        "payer": {"openid": await town.openid("lin", MINI_APP)},
        **changes,
    }


async def ask(town: Town, **changes: Any) -> tuple[int, Any]:
    return await call(town, "POST", "/v3/pay/transactions/jsapi", await order(town, **changes))


async def look(town: Town, number: str = "XH00000001") -> tuple[int, Any]:
    return await call(town, "GET", f"{TRADES}{number}?mchid={KEYS.mch_id}")


async def paid(town: Town, **values: Any) -> Any:
    prepay_id = (await ask(town))[1]["prepay_id"]
    return await town.act("lin", "wechat_pay/pay", prepay_id=prepay_id, **values)


def opened(inbound: Inbound) -> codec.Notification:
    request = RawRequest("POST", {}, inbound.headers, inbound.raw.encode(), datetime.now(UTC))
    return codec.open_notification(request, PLATFORM, KEYS.api_v3_key.encode(), window_s=300)


async def test_a_payment_is_told_and_can_be_asked_for(town: Town) -> None:
    done = await paid(town)
    assert done["delivery"]["result"] == "accepted"
    (inbound,) = town.product.inbound
    told = opened(inbound)
    assert told.event_type == codec.TRANSACTION
    receipt = codec.receipt_of(told.resource)
    assert (receipt.number, receipt.amount_fen, receipt.merchant) == ("XH00000001", 10_000, KEYS.mch_id)
    assert receipt == codec.receipt_of((await look(town))[1])
    altered = replace(inbound, raw=inbound.raw + " ")
    with pytest.raises(Forged):
        opened(altered)


async def test_only_the_merchant_is_believed(town: Town) -> None:
    for wrong in (
        replace(KEYS, merchant_key=KEYS.platform_key),
        replace(KEYS, merchant_serial="00"),
        replace(KEYS, mch_id="1900000000"),
    ):
        status, answer = await call(town, "GET", f"{TRADES}XH00000001?mchid={KEYS.mch_id}", keys=wrong)
        assert (status, answer["code"]) == (401, "SIGN_ERROR")
    body = await order(town)
    sent = json.dumps({**body, "amount": {"total": 1, "currency": "CNY"}}).encode()
    assert (await call(town, "POST", "/v3/pay/transactions/jsapi", body, sent=sent))[0] == 401
    assert (await look(town))[0] == 404


async def test_orders_are_asked_for_once(town: Town) -> None:
    first = await ask(town)
    assert first[0] == 200
    assert await ask(town) == first
    status, answer = await ask(town, amount={"total": 1, "currency": "CNY"})
    assert (status, answer["code"]) == (400, "OUT_TRADE_NO_USED")
    assert (await look(town))[1]["trade_state"] == "NOTPAY"


@pytest.mark.parametrize(
    "wrong",
    [
        {"mchid": "1900000000"},
        {"appid": "wx0"},
        {"out_trade_no": "x"},
        {"description": ""},
        {"notify_url": "http://shop.example/pay"},
        {"notify_url": "https://shop.example/pay?a=1"},
        {"amount": {"total": 0}},
        {"amount": {"total": True}},
        {"amount": {"total": 1, "currency": "USD"}},
        {"payer": {"openid": "nobody"}},
        {"time_expire": "2020-01-01T00:00:00+08:00"},
    ],
)
async def test_wrong_orders_are_refused(town: Town, wrong: dict[str, Any]) -> None:
    assert (await ask(town, **wrong))[0] == 400


async def test_a_closed_order_cannot_be_paid_and_a_paid_one_not_closed(town: Town) -> None:
    prepay_id = (await ask(town))[1]["prepay_id"]
    close = f"{TRADES}XH00000001/close"
    assert await call(town, "POST", close, {"mchid": KEYS.mch_id}) == (204, None)
    await town.control("POST", "/people/lin/act/wechat_pay/pay", 409, prepay_id=prepay_id)
    other = (await ask(town, out_trade_no="XH00000002"))[1]["prepay_id"]
    await town.control("POST", "/people/mei/act/wechat_pay/pay", 409, prepay_id=other)
    await town.act("lin", "wechat_pay/pay", prepay_id=other)
    await town.control("POST", "/people/lin/act/wechat_pay/pay", 409, prepay_id=other)
    status, answer = await call(town, "POST", close.replace("1/", "2/"), {"mchid": KEYS.mch_id})
    assert (status, answer["code"]) == (400, "ORDERPAID")


async def test_what_is_not_understood_comes_again_by_the_clock(town: Town) -> None:
    town.product.statuses[:] = [500, 202, 403, 204]
    assert (await paid(town))["delivery"]["result"] == "failed"
    for tries, pause in enumerate(PAUSES_S[:3], start=1):
        await town.control("POST", "/clock", advance_s=pause - 3)
        await town.control("POST", "/settle")
        assert len(town.product.inbound) == tries
        await town.control("POST", "/clock", advance_s=4)
        await town.control("POST", "/settle")
        assert len(town.product.inbound) == tries + 1
    await town.control("POST", "/clock", advance_s=100_000)
    await town.control("POST", "/settle")
    assert len({opened(inbound).id for inbound in town.product.inbound}) == 1
    assert len(town.product.inbound) == 4
    entries = (await town.control("GET", "/wire"))["entries"]
    numbered = [entry["try"] for entry in entries if entry["kind"] == "callback"]
    assert numbered == [1, 2, 3, 4]


async def test_a_notification_outlives_a_restart(town: Town) -> None:
    town.product.statuses[:] = [500]
    await paid(town)
    assert town.restart is not None
    await town.restart()
    await town.control("POST", "/settle")
    assert len(town.product.inbound) == 1
    await town.control("POST", "/clock", advance_s=PAUSES_S[0] + 1)
    await town.control("POST", "/settle")
    assert opened(town.product.inbound[1]).id == opened(town.product.inbound[0]).id


async def test_faults(town: Town) -> None:
    await paid(town, fault="notify_lost")
    assert town.product.inbound == []
    assert (await look(town))[1]["trade_state"] == "SUCCESS"
    second = (await ask(town, out_trade_no="XH00000002"))[1]["prepay_id"]
    await town.act("lin", "wechat_pay/pay", prepay_id=second, fault="notify_twice")
    assert len({opened(inbound).id for inbound in town.product.inbound}) == 1
    assert len(town.product.inbound) == 2
    third = (await ask(town, out_trade_no="XH00000003"))[1]["prepay_id"]
    await town.act("lin", "wechat_pay/pay", prepay_id=third, fault="wrong_amount")
    assert codec.receipt_of(opened(town.product.inbound[-1]).resource).amount_fen == 1


async def test_refunds_never_exceed_what_was_paid(town: Town) -> None:
    await paid(town)
    refund = {"out_trade_no": "XH00000001", "out_refund_no": "R1", "amount": {"refund": 6_000, "total": 10_000}}
    path = "/v3/refund/domestic/refunds"
    first = await call(town, "POST", path, refund)
    assert (first[0], first[1]["status"]) == (200, "SUCCESS")
    assert await call(town, "POST", path, refund) == first
    assert (await call(town, "POST", path, {**refund, "out_refund_no": "R2"}))[0] == 400
    assert (await call(town, "POST", path, {**refund, "amount": {"refund": 1, "total": 10_000}}))[0] == 400
    assert (await look(town))[1]["trade_state"] == "REFUND"


def test_keys_are_made_once(tmp_path: Path) -> None:
    keys = kept_keys(tmp_path / "new")
    assert kept_keys(tmp_path / "new") == keys
    assert (tmp_path / "new/pay_keys.json").stat().st_mode & 0o077 == 0
