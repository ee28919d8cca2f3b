"""Messages and events from a person to an official account or mini-program, and the passive reply coming back."""

from typing import Any

from bot.sandbox.config import WechatAccount
from bot.sandbox.deliver import Callback, Delivery, deliver
from bot.sandbox.envelopes import MalformedReply, Opened, open_wechat_reply, seal_wechat
from bot.sandbox.people import openid
from bot.sandbox.screens import links_as_buttons
from bot.sandbox.stage import Stage
from bot.sandbox.wechat_windows import open_window
from bot.sandbox.world import Button, Person

FIRST_MESSAGE_ID = 24_000_000_000_000_001
REPLY_TYPES = frozenset({"text", "image", "voice", "video", "music", "news", "transfer_customer_service"})
REPLY_BYTES = 2048
SERVICE_FAILED = "该公众号提供的服务出现故障，请稍后再试"
ANSWERED_EVENTS = frozenset({"CLICK", "SCAN", "SUBSCRIBE", "SCANCODE_WAITMSG"})
"""Events after which a person waits for an answer, so that its failure shows."""


async def send_message(
    stage: Stage, account: WechatAccount, person: Person, kind: str, fields: dict[str, Any], *, window: str = "message"
) -> Delivery:
    """A message of that MsgType; renews the 48-hour window, or the one it is said to open."""
    open_window(stage.wechat(account.key), person.id, window, stage.clock.world())
    message_id = stage.world.next("wechat message", FIRST_MESSAGE_ID)
    content = {**fields, "MsgId": message_id}
    return await _send(stage, account, person, kind, content, str(message_id))


async def send_event(
    stage: Stage, account: WechatAccount, person: Person, event: str, fields: dict[str, Any]
) -> Delivery:
    """An event; it has no MsgId."""
    return await _send(stage, account, person, "event", {"Event": event, **fields}, "")


async def _send(
    stage: Stage, account: WechatAccount, person: Person, kind: str, fields: dict[str, Any], message_id: str
) -> Delivery:
    sender = openid(account.app_id, person.id)
    envelope = {"ToUserName": account.original_id, "FromUserName": sender, "CreateTime": int(stage.clock.wire())}
    content = {**envelope, "MsgType": kind, **fields}
    callback = Callback(
        account=account,
        person=person.id,
        message_id=message_id,
        seal=lambda: seal_wechat(account, content, sender, stage.clock.wire()),
        open=lambda body: _acceptable(open_wechat_reply(account, body), account, sender),
        url=account.callback_url,
    )
    delivery = await deliver(stage, callback)
    if delivery.reply is not None:
        show_reply(stage, account, person, delivery.reply)
    waits = kind != "event" or str(fields.get("Event", "")).upper() in ANSWERED_EVENTS
    if delivery.result == "failed" and waits and account.channel == "wechat_oa":
        stage.screens.show(person.id, (account.channel, account.account), "system", "notice", SERVICE_FAILED)
    return delivery


def _acceptable(opened: Opened, account: WechatAccount, person: str) -> Opened:
    """A reply to somebody else, or too long, is as bad as no reply."""
    reply = opened.fields
    if reply is None:
        return opened
    if (reply.get("ToUserName"), reply.get("FromUserName")) != (person, account.original_id):
        raise MalformedReply("the reply is not addressed from this account to this person")
    if reply.get("MsgType") not in REPLY_TYPES:
        raise MalformedReply("no such reply type")
    if len(str(reply.get("Content", "")).encode()) > REPLY_BYTES:
        raise MalformedReply("the text is too long")
    return opened


def show_reply(stage: Stage, account: WechatAccount, person: Person, reply: dict[str, Any]) -> None:
    """Put a passive reply on the person's screen."""
    kind = str(reply.get("MsgType", ""))
    text, buttons = reply_text(stage, kind, reply)
    data = {"reply": reply, **media_url(stage, reply.get(kind.capitalize(), {}))}
    where = (account.channel, account.account)
    stage.screens.show(person.id, where, "account", kind or "text", text, buttons=buttons, data=data)


def reply_text(stage: Stage, kind: str, reply: dict[str, Any]) -> tuple[str, list[Button]]:
    """What a passive reply reads like."""
    if kind == "text":
        return links_as_buttons(str(reply.get("Content", "")))
    if kind == "news":
        articles = reply.get("Articles", {})
        items = articles.get("item", []) if isinstance(articles, dict) else []
        items = items if isinstance(items, list) else [items]
        buttons = [
            Button(str(i), str(a.get("Title", "")), "url", str(a.get("Url", "")), i) for i, a in enumerate(items)
        ]
        return "\n".join(f"{a.get('Title', '')}\n{a.get('Description', '')}".strip() for a in items), buttons
    if kind == "transfer_customer_service":
        return "（已转人工客服）", []
    return f"[{kind}]", []


def media_url(stage: Stage, part: Any) -> dict[str, str]:
    """The sandbox address of the media a payload names."""
    media_id = part.get("MediaId") or part.get("media_id") if isinstance(part, dict) else None
    return {"url": f"{stage.config.public_base}/control/media/{media_id}"} if media_id else {}
