"""A person in the official account, whose messages are sealed by wechatpy and posted over HTTP."""

from dataclasses import dataclass
from datetime import datetime

import xmltodict
from aiohttp import ClientSession
from wechatpy.crypto import WeChatCrypto

from bot.accounts import WechatAccount
from tests.bot.wechat_oa.platform_side import MAILBOX, signature


@dataclass(frozen=True)
class Envelope:
    """A sealed callback, ready to be posted as often as wanted."""

    query: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class OfficialAccount:
    """WeChat's side of one configured account."""

    account: WechatAccount
    base: str

    def sealed(self, message: str, *, at: datetime, nonce: str = "1000001") -> Envelope:
        """`message` as WeChat posts it in safe mode."""
        ours, timestamp = self.account, str(int(at.timestamp()))
        envelope = WeChatCrypto(ours.token, ours.encoding_aes_key, ours.app_id).encrypt_message(
            message, nonce, timestamp
        )
        encrypted = xmltodict.parse(envelope)["xml"]["Encrypt"]
        query = {
            "signature": signature(ours.token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "encrypt_type": "aes",
            "msg_signature": signature(ours.token, timestamp, nonce, encrypted),
        }
        body = f"<xml><ToUserName><![CDATA[{MAILBOX}]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        return Envelope(query, body.encode())

    def said(self, openid: str, text: str, *, message_id: str, at: datetime) -> Envelope:
        """A text message of `openid`."""
        return self.sealed(text_message(openid, text, message_id=message_id, at=at), at=at)

    async def deliver(self, session: ClientSession, envelope: Envelope) -> tuple[int, str]:
        """The status, and the words of the passive reply ('' when there are none)."""
        url = f"{self.base}/hooks/wechat_oa/{self.account.account}"
        async with session.post(url, params=envelope.query, data=envelope.body) as answer:
            return answer.status, self.shown(await answer.read())

    def shown(self, body: bytes) -> str:
        """What the person reads of a response."""
        if body in (b"success", b"") or not body.startswith(b"<xml>"):
            return ""
        ours, outer = self.account, xmltodict.parse(body)["xml"]
        inner = WeChatCrypto(ours.token, ours.encoding_aes_key, ours.app_id).decrypt_message(
            body, outer["MsgSignature"], outer["TimeStamp"], outer["Nonce"]
        )
        return str(xmltodict.parse(inner, strip_whitespace=False)["xml"].get("Content", ""))


def text_message(openid: str, text: str, *, message_id: str, at: datetime) -> str:
    """The clear XML of a text message."""
    content = text.replace("]]>", "]]]]><![CDATA[>")
    return (
        f"<xml><ToUserName><![CDATA[{MAILBOX}]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
        f"<CreateTime>{int(at.timestamp())}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content><![CDATA[{content}]]></Content><MsgId>{message_id}</MsgId></xml>"
    )
