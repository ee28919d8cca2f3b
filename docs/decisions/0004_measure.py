"""Measures what docs/decisions/0004-wechatpy.md states: `.venv/bin/python docs/decisions/0004_measure.py`."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import xmltodict
from wechatpy import create_reply, parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import WeChatSigner

from bot.accounts import WechatAccount
from bot.channel import Delivery, RawRequest
from bot.http import PlatformHttp
from bot.tokens import LeasedTokens
from bot.wechat_oa.adapter import WechatOfficialAccount
from bot.wx_crypto import WxCrypto, open_encrypted
from bot.wx_xml import parse
from handlers.messages import Reply
from loyalty.errors import unreachable

APP_ID, TOKEN, KEY = "wx1234567890abcdef", "callbacktoken1", "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
STAMP, NONCE, ANSWER = str(int(NOW.timestamp())), "1000001", "签到成功，获得 10 积分"
PUSH = (
    "<xml><ToUserName><![CDATA[gh_7f083739789a]]></ToUserName>"
    "<FromUserName><![CDATA[oMember0000000000000000000001]]></FromUserName>"
    f"<CreateTime>{STAMP}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
    "<Content><![CDATA[签到]]></Content><MsgId>24853461237890123</MsgId></xml>"
)


def request_of(theirs: WeChatCrypto) -> RawRequest:
    """The push as WeChat posts it in safe mode."""
    encrypted = xmltodict.parse(theirs.encrypt_message(PUSH, NONCE, STAMP))["xml"]["Encrypt"]
    signer = WeChatSigner()
    signer.add_data(TOKEN, STAMP, NONCE, encrypted)
    query = {"timestamp": STAMP, "nonce": NONCE, "msg_signature": signer.signature}
    body = f"<xml><ToUserName><![CDATA[gh_7f083739789a]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    return RawRequest("POST", query, {}, body.encode(), NOW)


def best_us(work: Callable[[], object], *, times: int = 2_000, rounds: int = 9) -> float:
    """Processor time of one run in µs, best of `rounds`."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - started) / times)
    return best * 1e6


def main() -> None:
    """Print the table."""
    theirs = WeChatCrypto(TOKEN, KEY, APP_ID)
    ours = WxCrypto(token=TOKEN, encoding_aes_key=KEY, receive_id=APP_ID)
    channel = WechatOfficialAccount(WechatAccount("main", APP_ID, "s", TOKEN, KEY), PlatformHttp(), LeasedTokens)
    request = request_of(theirs)
    query = request.query

    def their_opening() -> str:
        return str(theirs.decrypt_message(request.body, query["msg_signature"], STAMP, NONCE))

    def their_whole() -> str:
        reply = create_reply(ANSWER, parse_message(their_opening())).render()
        return str(theirs.encrypt_message(reply, NONCE, STAMP))

    def our_whole() -> bytes:
        delivery = channel.open(request)
        if not isinstance(delivery, Delivery):
            unreachable("a genuine push opens")
        return channel.answer(Reply(ANSWER), to=delivery.messages[0], now=NOW).body

    rows = {
        "verify and decrypt, ours": lambda: open_encrypted(request, ours, window_s=300, envelope_of=parse),
        "verify and decrypt, wechatpy": their_opening,
        "whole round trip, ours": our_whole,
        "whole round trip, wechatpy": their_whole,
    }
    for name, work in rows.items():
        sys.stdout.write(f"{name:32} {best_us(work):6.1f} µs\n")


if __name__ == "__main__":
    main()
