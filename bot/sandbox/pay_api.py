"""WeChat Pay API v3: orders of mini-programs and official accounts, what became of them, refunds."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bot.sandbox.config import PayAccount
from bot.sandbox.doors import Door, Incoming, Reply, attend
from bot.sandbox.pay_state import PayOrder, PayState, signature_headers, signed_by
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.quotas import BEIJING
from bot.sandbox.stage import Stage

PREFIX = "/platform/wechat_pay"
SCHEME = "WECHATPAY2-SHA256-RSA2048 "
PART = re.compile(r'(\w+)="([^"]*)"')
NUMBER = re.compile(r"[0-9A-Za-z_\-|*]{6,32}")
REFUND_NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")
SIGNED_WITHIN_S = 300
PREPAY_S = 7200
LARGEST_FEN = 10_000_000_000
DESCRIPTIONS = {"SUCCESS": "支付成功", "REFUND": "转入退款", "NOTPAY": "订单未支付", "CLOSED": "订单已关闭"}
LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


class PayError(PlatformError):
    """A refusal; `name` is its documented code, `code` the HTTP status."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(status, message)
        self.name = name


Work = Callable[[Stage, PayAccount, Incoming, str], Reply]


def add_pay(app: web.Application, stage: Stage) -> None:
    """Mount the API, when a merchant is configured."""
    account = stage.config.pay
    if account is None:
        return

    def handler(api: str, work: Work) -> Callable[[web.Request], Any]:
        async def call(request: web.Request) -> web.StreamResponse:
            def attended(incoming: Incoming) -> Reply:
                incoming.channel, incoming.account = account.channel, account.account
                _check_signature(stage, account, incoming, request.raw_path)
                return _signed(stage, account, work(stage, account, incoming, request.match_info.get("number", "")))

            def refuse(error: PlatformError) -> Reply:
                return _signed(stage, account, _refusal(error))

            busy = PayError(429, "FREQUENCY_LIMITED", "频率超限")
            door = Door("wechat_pay", attended, refuse, busy, lambda _: PayError(401, "SIGN_ERROR", "签名错误"))
            return await attend(stage, door, api, request)

        return call

    for method, path, work in ROUTES:
        app.router.add_route(method, PREFIX + path, handler(path, work))


def _refusal(error: PlatformError) -> Reply:
    if isinstance(error, PayError):
        return Reply({"code": error.name, "message": error.message}, status=error.code)
    status = error.code if 400 <= error.code <= 599 else 500
    return Reply({"code": "SYSTEM_ERROR", "message": error.message}, status=status)


def _signed(stage: Stage, account: PayAccount, reply: Reply) -> Reply:
    at = stage.clock.wire()
    reply.headers = signature_headers(account.platform_key, account.platform_key_id, reply.encoded(), at)
    return reply


def _check_signature(stage: Stage, account: PayAccount, incoming: Incoming, path: str) -> None:
    parts = dict(PART.findall(incoming.authorization.removeprefix(SCHEME)))
    stamp, nonce = parts.get("timestamp", ""), parts.get("nonce_str", "")
    message = f"{incoming.method}\n{path}\n{stamp}\n{nonce}\n".encode() + incoming.raw + b"\n"
    known = (
        incoming.authorization.startswith(SCHEME)
        and parts.get("mchid") == account.mch_id
        and parts.get("serial_no") == account.merchant_serial
        and bool(nonce)
        and re.fullmatch(r"[0-9]{1,11}", stamp) is not None
        and abs(stage.clock.wire() - int(stamp)) <= SIGNED_WITHIN_S
    )
    if not known or not signed_by(account.merchant_public_key, message, parts.get("signature", "")):
        raise PayError(401, "SIGN_ERROR", "签名错误，请检查后再试")


def _body(incoming: Incoming) -> dict[str, Any]:
    try:
        body = incoming.json()
    except ValueError:
        raise PayError(400, "PARAM_ERROR", "请求体不是 JSON") from None
    if not isinstance(body, dict):
        raise PayError(400, "PARAM_ERROR", "请求体不是对象")
    return body


def _require(good: bool, message: str, name: str = "PARAM_ERROR") -> None:  # noqa: FBT001 - reads as an assertion
    if not good:
        raise PayError(400, name, message)


def _fen(of: object, name: str) -> int:
    value = of.get(name) if isinstance(of, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST_FEN:
        raise PayError(400, "PARAM_ERROR", f"amount.{name} 无效")
    return value


def pay_state(stage: Stage, account: PayAccount) -> PayState:
    """What the platform remembers of the merchant."""
    return stage.world.pay.setdefault(account.key, PayState())


def iso(at: float) -> str:
    """An instant as the platform writes it."""
    return datetime.fromtimestamp(int(at), UTC).astimezone(BEIJING).isoformat()


def _expiry(stage: Stage, body: dict[str, Any]) -> float:
    longest = stage.clock.world() + PREPAY_S
    if not body.get("time_expire"):
        return longest
    try:
        at = datetime.fromisoformat(str(body["time_expire"]))
    except ValueError:
        raise PayError(400, "PARAM_ERROR", "time_expire 格式错误") from None
    _require(at.tzinfo is not None, "time_expire 没有时区")
    ahead = at.timestamp() - stage.clock.wire()
    _require(ahead > 0, "time_expire 已过")
    return min(longest, stage.clock.world() + ahead)


def _ask(stage: Stage, account: PayAccount, incoming: Incoming, _: str) -> Reply:
    body = _body(incoming)
    number, url = str(body.get("out_trade_no", "")), str(body.get("notify_url", ""))
    _require(body.get("mchid") == account.mch_id, "mchid 与签名不符")
    _require(body.get("appid") in account.app_ids, "appid 和 mchid 不匹配", "APPID_MCHID_NOT_MATCH")
    _require(NUMBER.fullmatch(number) is not None, "out_trade_no 无效")
    _require(0 < len(str(body.get("description") or "")) <= 127, "description 无效")
    _require(url.startswith(("https://", *LOOPBACK)) and "?" not in url and len(url) <= 255, "notify_url 无效")
    _fen(body.get("amount"), "total")
    _require(body["amount"].get("currency", "CNY") == "CNY", "currency 无效")
    payer = body.get("payer")
    person = stage.people.by_openid(body["appid"], str(payer.get("openid", "")) if isinstance(payer, dict) else "")
    if person is None:
        raise PayError(400, "PARAM_ERROR", "openid 和 appid 不匹配")
    incoming.person = person.id
    orders = pay_state(stage, account).orders
    if known := orders.get(number):
        return _asked_again(known, body)
    prepay_id = (
        "wx"
        + datetime.fromtimestamp(stage.clock.wire(), BEIJING).strftime("%d%H%M%S")
        + f"{stage.world.next('prepay'):026}"
    )
    orders[number] = PayOrder(body, prepay_id, person.id, _expiry(stage, body))
    return Reply({"prepay_id": prepay_id})


def _asked_again(known: PayOrder, body: dict[str, Any]) -> Reply:
    _require(known.content == body, "商户订单号重复", "OUT_TRADE_NO_USED")
    _require(known.state != "CLOSED", "订单已关闭", "ORDER_CLOSED")
    _require(known.state == "NOTPAY", "该订单已支付", "ORDERPAID")
    return Reply({"prepay_id": known.prepay_id})


def _order(stage: Stage, account: PayAccount, incoming: Incoming, number: str) -> PayOrder:
    order = pay_state(stage, account).orders.get(number)
    if order is None:
        raise PayError(404, "ORDER_NOT_EXIST", "订单不存在")
    incoming.person = order.person
    return order


def transaction(account: PayAccount, number: str, order: PayOrder) -> dict[str, Any]:
    """The order as queries and notifications tell it."""
    told: dict[str, Any] = {
        "appid": order.content["appid"],
        "mchid": account.mch_id,
        "out_trade_no": number,
        "trade_state": order.state,
        "trade_state_desc": DESCRIPTIONS[order.state],
    }
    if order.content.get("attach"):
        told["attach"] = order.content["attach"]
    total = order.paid_fen or order.content["amount"]["total"]
    if not order.transaction_id:
        return told | {"amount": {"total": total, "currency": "CNY"}}
    return told | {
        "transaction_id": order.transaction_id,
        "trade_type": "JSAPI",
        "bank_type": "OTHERS",
        "success_time": order.success_time,
        "payer": {"openid": order.content["payer"]["openid"]},
        "amount": {"total": total, "payer_total": total, "currency": "CNY", "payer_currency": "CNY"},
    }


def _query(stage: Stage, account: PayAccount, incoming: Incoming, number: str) -> Reply:
    _require(incoming.query.get("mchid") == account.mch_id, "mchid 与签名不符")
    return Reply(transaction(account, number, _order(stage, account, incoming, number)))


def _close(stage: Stage, account: PayAccount, incoming: Incoming, number: str) -> Reply:
    _require(_body(incoming).get("mchid") == account.mch_id, "mchid 与签名不符")
    order = _order(stage, account, incoming, number)
    _require(order.state in ("NOTPAY", "CLOSED"), "该订单已支付", "ORDERPAID")
    order.state = "CLOSED"
    return Reply(content=b"", status=204)


def _refund(stage: Stage, account: PayAccount, incoming: Incoming, _: str) -> Reply:
    body, state = _body(incoming), pay_state(stage, account)
    number, refund_number = str(body.get("out_trade_no", "")), str(body.get("out_refund_no", ""))
    _require(REFUND_NUMBER.fullmatch(refund_number) is not None, "out_refund_no 无效")
    if known := state.refunds.get(refund_number):
        _require(known["request"] == body, "退款单号已用于其他退款", "INVALID_REQUEST")
        return Reply(known["answer"])
    if body.get("transaction_id"):
        found = (name for name, order in state.orders.items() if order.transaction_id == body["transaction_id"])
        number = next(found, "")
    order = _order(stage, account, incoming, number)
    _require(bool(order.transaction_id), "订单未支付", "INVALID_REQUEST")
    amount, total = _fen(body.get("amount"), "refund"), _fen(body.get("amount"), "total")
    _require(total == order.paid_fen, "订单金额不一致", "INVALID_REQUEST")
    refunded = sum(
        past["answer"]["amount"]["refund"]
        for past in state.refunds.values()
        if past["answer"]["out_trade_no"] == number
    )
    _require(refunded + amount <= order.paid_fen, "退款总额大于订单金额", "INVALID_REQUEST")
    at = iso(stage.clock.wire())
    answer = {
        "refund_id": f"50300000000000{stage.world.next('refund'):014}",
        "out_refund_no": refund_number,
        "transaction_id": order.transaction_id,
        "out_trade_no": number,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": at,
        "success_time": at,
        "status": "SUCCESS",
        "amount": {"total": total, "refund": amount, "payer_total": total, "payer_refund": amount, "currency": "CNY"},
    }
    state.refunds[refund_number] = {"request": body, "answer": answer}
    order.state = "REFUND"
    words = f"退款到账 ¥{amount / 100:.2f}"
    stage.screens.show(order.person, (account.channel, account.account), "system", "notice", words)
    return Reply(answer)


ROUTES: tuple[tuple[str, str, Work], ...] = (
    ("POST", "/v3/pay/transactions/jsapi", _ask),
    ("GET", "/v3/pay/transactions/out-trade-no/{number}", _query),
    ("POST", "/v3/pay/transactions/out-trade-no/{number}/close", _close),
    ("POST", "/v3/refund/domestic/refunds", _refund),
)
