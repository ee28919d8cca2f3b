"""WeChat and WeCom envelopes, sealed and opened with wechatpy: an implementation nobody here wrote."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from wechatpy.crypto import PrpCrypto as WechatCipher
from wechatpy.crypto import WeChatCrypto
from wechatpy.enterprise.crypto import PrpCrypto as WecomCipher
from wechatpy.enterprise.crypto import WeChatCrypto as WecomCrypto
from wechatpy.utils import WeChatSigner

from bot.sandbox.config import WechatAccount, WecomAccount

Fields = Mapping[str, Any]


class MalformedReply(ValueError):
    """The product answered something the platform cannot read; the person sees the platform's error line."""


@dataclass(frozen=True)
class Sealed:
    """A callback ready to be posted."""

    query: str
    body: bytes
    content_type: str
    clear: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Opened:
    """A passive reply in clear; `fields` is None when the product only said that it received the message."""

    clear: str
    fields: dict[str, Any] | None


def signature(*parts: str) -> str:
    """SHA-1 over the sorted parts, as the message callbacks are signed."""
    signer = WeChatSigner()
    signer.add_data(*parts)
    return str(signer.signature)


def cdata(text: str) -> str:
    """Text as CDATA; the terminator inside is split over two sections."""
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def to_xml(fields: Fields, root: str = "xml") -> str:
    """Fields as platform XML: numbers bare, text in CDATA, lists as repeated elements."""
    inner = "".join(_element(name, value) for name, value in fields.items())
    return f"<{root}>{inner}</{root}>"


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, Mapping):
        return to_xml(value, name)
    return f"<{name}>{value if isinstance(value, int | float) else cdata(str(value))}</{name}>"


def from_xml(text: str) -> dict[str, Any]:
    """Platform XML as a dictionary. Raises MalformedReply for anything else, DTDs included."""
    try:
        root = fromstring(text.strip(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise MalformedReply(f"not XML: {error}") from error
    if root.tag != "xml":
        raise MalformedReply(f"the root is <{root.tag}>, not <xml>")
    value = _value(root)
    return value if isinstance(value, dict) else {}


def _value(element: Element) -> Any:
    if len(element) == 0:
        return element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        value = _value(child)
        if child.tag not in found:
            found[child.tag] = value
        elif isinstance(found[child.tag], list):
            found[child.tag].append(value)
        else:
            found[child.tag] = [found[child.tag], value]
    return found


def seal_wechat(account: WechatAccount, fields: Fields, openid: str, at: float) -> Sealed:
    """A signed callback in the account's mode (safe, compat, plain) and body format (XML, JSON)."""
    timestamp, nonce = str(int(at)), str(secrets.randbelow(9 * 10**8) + 10**8)
    clear = to_xml(fields) if account.body == "xml" else json.dumps(fields, ensure_ascii=False)
    query = {"signature": signature(account.token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}
    query["openid"] = openid
    body = clear
    if account.mode != "plain":
        crypto = WeChatCrypto(account.token, account.encoding_aes_key, account.app_id)
        encrypted = WechatCipher(crypto.key).encrypt(clear, account.app_id).decode()
        query["encrypt_type"] = "aes"
        query["msg_signature"] = signature(account.token, timestamp, nonce, encrypted)
        outer = {**fields} if account.mode == "compat" else {"ToUserName": fields["ToUserName"]}
        outer["Encrypt"] = encrypted
        body = to_xml(outer) if account.body == "xml" else json.dumps(outer, ensure_ascii=False)
    content_type = "text/xml" if account.body == "xml" else "application/json"
    return Sealed(urlencode(query), body.encode(), content_type, clear)


def open_wechat_reply(account: WechatAccount, body: bytes) -> Opened:
    """What the product answered. Raises MalformedReply where WeChat would show its error line."""
    text = _utf8(body)
    if text.strip() in ("", "success"):
        return Opened(text, None)
    if account.body == "json":
        return _open_json_reply(account, text)
    fields = from_xml(text)
    if account.mode == "plain":
        return Opened(text, fields)
    if "Encrypt" not in fields:
        raise MalformedReply("a clear reply in an encrypted mode")
    crypto = WeChatCrypto(account.token, account.encoding_aes_key, account.app_id)
    clear = _decrypt(crypto, text, fields)
    return Opened(clear, from_xml(clear))


def _open_json_reply(account: WechatAccount, text: str) -> Opened:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise MalformedReply(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise MalformedReply("not a JSON object")
    if account.mode == "plain":
        return Opened(text, fields)
    if "Encrypt" not in fields:
        raise MalformedReply("a clear reply in an encrypted mode")
    crypto = WeChatCrypto(account.token, account.encoding_aes_key, account.app_id)
    clear = _decrypt(crypto, {key: str(value) for key, value in fields.items()}, fields)
    try:
        return Opened(clear, json.loads(clear))
    except ValueError as error:
        raise MalformedReply(f"not JSON inside: {error}") from error


def seal_wecom(account: WecomAccount, fields: Fields, at: float) -> Sealed:
    """A callback of WeCom, which is always encrypted."""
    timestamp, nonce = str(int(at)), str(secrets.randbelow(9 * 10**8) + 10**8)
    clear = to_xml(fields)
    encrypted = _wecom_encrypt(account, clear)
    query = {"msg_signature": signature(account.token, timestamp, nonce, encrypted)}
    query |= {"timestamp": timestamp, "nonce": nonce}
    body = to_xml({"ToUserName": account.corp_id, "Encrypt": encrypted, "AgentID": str(account.agent_id)})
    return Sealed(urlencode(query), body.encode(), "text/xml", clear)


def open_wecom_reply(account: WecomAccount, body: bytes) -> Opened:
    """What the product answered. Raises MalformedReply when it is neither empty nor a good encrypted reply."""
    text = _utf8(body)
    if text.strip() in ("", "success"):
        return Opened(text, None)
    fields = from_xml(text)
    if "Encrypt" not in fields:
        raise MalformedReply("a clear reply to WeCom")
    clear = _decrypt(WecomCrypto(account.token, account.encoding_aes_key, account.corp_id), text, fields)
    return Opened(clear, from_xml(clear))


def verification_query(account: WechatAccount | WecomAccount, echo: str, at: float) -> str:
    """The query of the “save URL” GET; WeCom encrypts the echo string."""
    timestamp, nonce = str(int(at)), str(secrets.randbelow(9 * 10**8) + 10**8)
    query = {"timestamp": timestamp, "nonce": nonce, "echostr": echo}
    if isinstance(account, WecomAccount):
        query["echostr"] = _wecom_encrypt(account, echo)
        query["msg_signature"] = signature(account.token, timestamp, nonce, query["echostr"])
    else:
        query["signature"] = signature(account.token, timestamp, nonce)
    return urlencode(query)


def _wecom_encrypt(account: WecomAccount, clear: str) -> str:
    crypto = WecomCrypto(account.token, account.encoding_aes_key, account.corp_id)
    return str(WecomCipher(crypto.key).encrypt(clear, account.corp_id).decode())


def _decrypt(crypto: Any, envelope: Any, fields: dict[str, Any]) -> str:
    named = [str(fields.get(name, "")) for name in ("MsgSignature", "TimeStamp", "Nonce")]
    try:
        return str(crypto.decrypt_message(envelope, *named))
    except Exception as error:  # wechatpy lets a dozen unrelated exception types out of one call
        raise MalformedReply(f"the encrypted reply is not ours: {type(error).__name__}") from error


def _utf8(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise MalformedReply("not UTF-8") from error
