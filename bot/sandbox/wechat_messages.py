"""Messages that an official account or mini-program sends: customer service, template, subscription."""

from typing import Any

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.screens import links_as_buttons
from bot.sandbox.template_fields import checked_fields
from bot.sandbox.wechat_door import Api, WechatCall, as_list, ok, pretty
from bot.sandbox.wechat_inbound import media_url, send_event
from bot.sandbox.wechat_state import Sent
from bot.sandbox.wechat_windows import current_window, spend_grant, spend_window
from bot.sandbox.world import Button, Person, Template

CUSTOM_TYPES = frozenset(
    [
        "text",
        "image",
        "voice",
        "video",
        "music",
        "news",
        "mpnews",
        "mpnewsarticle",
        "msgmenu",
        "wxcard",
        "miniprogrampage",
        "link",
    ]
)
MEDIA_TYPES = frozenset(["image", "voice", "video"])
TEXT_BYTES = 2048
CLIENT_ID_BYTES = 32
CLIENT_ID_KEPT_S = 600
TEMPLATE_FIELD_SHOWN = 20
STRIPPED_BY_PLATFORM = frozenset({"first", "remark"})
TYPING_AFTER_S = 30


def custom_send(call: WechatCall) -> dict[str, Any]:
    """A customer-service message, inside an interaction window."""
    person = call.person(call.body.get("touser"))
    kind = str(call.body.get("msgtype", ""))
    if kind not in CUSTOM_TYPES:
        raise PlatformError(40008, "invalid message type")
    payload = call.body.get(kind)
    if not isinstance(payload, dict):
        raise PlatformError(44004, "empty content")
    text, buttons = _custom_text(call, kind, payload)
    if call.account.channel == "wechat_oa" and person.id not in call.state.follows:
        raise PlatformError(45015, "response out of time limit or subscription is canceled")
    spend_window(call.state, person.id, call.now)
    data = {"message": payload, **media_url(call.stage, payload)}
    call.stage.screens.show(person.id, call.where, "account", kind, text, buttons=buttons, data=data)
    return ok()


def _custom_text(call: WechatCall, kind: str, payload: dict[str, Any]) -> tuple[str, list[Button]]:
    if kind == "text":
        return _plain_text(payload)
    if kind == "msgmenu":
        return _menu_text(payload)
    if kind == "news":
        articles = as_list(payload.get("articles"))
        if len(articles) != 1:
            raise PlatformError(45008, "article size out of limit")
        return _linked(articles[0], "url", "url")
    if kind == "link":
        return _linked(payload, "url", "url")
    if kind == "miniprogrampage":
        return _linked(payload, "miniprogram", "pagepath")
    if kind in MEDIA_TYPES and not known_media(call, payload.get("media_id")):
        raise PlatformError(40007, "invalid media_id")
    return str(payload.get("title") or f"[{kind}]") if kind in MEDIA_TYPES else pretty(payload), []


def _plain_text(payload: dict[str, Any]) -> tuple[str, list[Button]]:
    content = str(payload.get("content", ""))
    if not content:
        raise PlatformError(44004, "empty content")
    if len(content.encode()) > TEXT_BYTES:
        raise PlatformError(45002, "content size out of limit")
    return links_as_buttons(content)


def _linked(part: dict[str, Any], kind: str, target: str) -> tuple[str, list[Button]]:
    title = str(part.get("title", ""))
    text = f"{title}\n{part.get('description', '')}".strip()
    return text, [Button("0", title, kind, str(part.get(target, "")))]


def _menu_text(payload: dict[str, Any]) -> tuple[str, list[Button]]:
    entries = as_list(payload.get("list"))
    if not entries:
        raise PlatformError(44004, "empty content")
    buttons = [
        Button(str(i), str(entry.get("content", "")), "callback", str(entry.get("id", "")), i)
        for i, entry in enumerate(entries)
    ]
    parts = [str(payload.get("head_content", "")), str(payload.get("tail_content", ""))]
    return "\n".join(part for part in parts if part), buttons


def known_media(call: WechatCall, media_id: Any) -> bool:
    """Whether an uploaded file is still there."""
    media = call.stage.world.media.get(str(media_id))
    return media is not None and media.expires_at > call.now


def typing(call: WechatCall) -> dict[str, Any]:
    """The “is typing” line: only shortly after the person did something."""
    person = call.person(call.body.get("touser"))
    if call.body.get("command") not in ("Typing", "CancelTyping"):
        raise PlatformError(45072, "invalid command")
    window = current_window(call.state, person.id, call.now)
    opened_at = window.expires_at - (48 * 3600 if window.kind == "message" else 60) if window else 0.0
    if call.now - opened_at > TYPING_AFTER_S:
        raise PlatformError(45080, "not in 30s after last interaction")
    return ok()


def _template(call: WechatCall) -> Template:
    template = call.stage.world.templates.get(str(call.body.get("template_id", "")))
    if template is None or template.app_id not in ("", call.account.app_id):
        raise PlatformError(40037, "invalid template_id")
    return template


def _refusals(call: WechatCall, person: Person) -> None:
    if person.id in call.state.blacklist:
        raise PlatformError(43019, "user in blacklist")
    if person.id not in call.state.follows:
        raise PlatformError(43004, "require subscribe")
    if person.flags.refuses_messages:
        raise PlatformError(48002, "user refuse to accept the msg")


def template_send(call: WechatCall) -> dict[str, Any]:
    """A template message; what became of it arrives later as TEMPLATESENDJOBFINISH."""
    person = call.person(call.body.get("touser"))
    template = _template(call)
    client_id = str(call.body.get("client_msg_id") or "")
    if len(client_id.encode()) > CLIENT_ID_BYTES:
        raise PlatformError(40097, "invalid args: client_msg_id")
    repeated = call.state.sent_by_client_id.get(f"{person.id}/{client_id}") if client_id else None
    if repeated and repeated.until > call.now:
        return ok(msgid=repeated.msgid)
    _refusals(call, person)
    values = _legacy_fields(template, call.body.get("data"))
    msgid = call.stage.world.next("msgid", 3_000_000_001)
    if client_id:
        call.state.sent_by_client_id[f"{person.id}/{client_id}"] = Sent(msgid, call.now + CLIENT_ID_KEPT_S)
    _show(call, person, "template", template, values, str(call.body.get("url") or ""))
    finished = {"MsgID": msgid, "Status": "success"}
    call.stage.spawn(send_event(call.stage, call.account, person, "TEMPLATESENDJOBFINISH", finished))
    return ok(msgid=msgid)


def _legacy_fields(template: Template, data: Any) -> dict[str, str]:
    """Template messages are not refused for a long value: the platform cuts it, and strips greeting and remark."""
    if not isinstance(data, dict) or not data:
        raise PlatformError(47003, "argument invalid! data is empty")
    values: dict[str, str] = {}
    for key in template.keys or list(data):
        item = data.get(key)
        if not isinstance(item, dict) or "value" not in item:
            raise PlatformError(47003, f"argument invalid! data.{key}.value is empty")
        if key not in STRIPPED_BY_PLATFORM:
            values[key] = str(item["value"]).replace("\n", " ")[:TEMPLATE_FIELD_SHOWN]
    return values


def _show(call: WechatCall, person: Person, kind: str, template: Template, values: dict[str, str], url: str) -> None:
    program = call.body.get("miniprogram") or {}
    page = str(program.get("pagepath") or call.body.get("page") or "")
    buttons = [Button("0", "查看详情", "miniprogram", page)] if page else []
    if url and not page:
        buttons = [Button("0", "查看详情", "url", url)]
    text = "\n".join([template.title, *values.values()])
    data = {"title": template.title, "fields": values, "template_id": template.template_id}
    call.stage.screens.show(person.id, call.where, "account", kind, text, buttons=buttons, data=data)


def _subscription(call: WechatCall) -> tuple[Person, int]:
    person = call.person(call.body.get("touser"))
    template = _template(call)
    if not template.keys and not call.body.get("data"):
        raise PlatformError(47003, "argument invalid! data is empty")
    values = checked_fields(template.keys or list(call.body["data"]), call.body.get("data"))
    page = str(call.body.get("page") or "").split("?")[0]
    if page and call.account.pages and page not in call.account.pages:
        raise PlatformError(41030, "invalid page")
    spend_grant(call.state, person.id, template.template_id)
    _show(call, person, "subscribe", template, values, "")
    return person, call.stage.world.next("msgid", 3_000_000_001)


def subscribe_send(call: WechatCall) -> dict[str, Any]:
    """A subscription message of the mini-program (订阅消息): one grant, one message."""
    person, msgid = _subscription(call)
    _report_sent(call, person, msgid)
    return ok(msgid=msgid)


def bizsend(call: WechatCall) -> dict[str, Any]:
    """A subscription notice of the official account (订阅通知)."""
    person, msgid = _subscription(call)
    _report_sent(call, person, msgid)
    return ok()


def _report_sent(call: WechatCall, person: Person, msgid: int) -> None:
    report = {
        "TemplateId": str(call.body["template_id"]),
        "MsgID": str(msgid),
        "ErrorCode": "0",
        "ErrorStatus": "success",
    }
    fields = subscribe_fields(call.account.body, "SubscribeMsgSentEvent", [report])
    call.stage.spawn(send_event(call.stage, call.account, person, "subscribe_msg_sent_event", fields))


def subscribe_fields(body: str, name: str, reports: list[dict[str, str]]) -> dict[str, Any]:
    """The list of a subscribe_msg_* event: nested in XML; in JSON at top level, and a single one is a bare object."""
    if body == "json":
        return {"List": reports[0] if len(reports) == 1 else reports}
    return {name: {"List": reports}}


def private_templates(call: WechatCall) -> dict[str, Any]:
    """Templates of this account."""
    own = [t for t in call.stage.world.templates.values() if t.app_id in ("", call.account.app_id)]
    if call.account.channel == "wechat_mini":
        data = [{"priTmplId": t.template_id, "title": t.title, "content": _content(t), "type": 2} for t in own]
        return ok(data=data)
    listed = [{"template_id": t.template_id, "title": t.title, "content": _content(t)} for t in own]
    return {"template_list": listed}


def _content(template: Template) -> str:
    return "\n".join(f"{{{{{key}.DATA}}}}" for key in template.keys)


APIS: dict[str, Api] = {
    "/cgi-bin/message/custom/send": Api("POST", custom_send),
    "/cgi-bin/message/custom/typing": Api("POST", typing),
    "/cgi-bin/message/template/send": Api("POST", template_send, channel="wechat_oa"),
    "/cgi-bin/message/subscribe/bizsend": Api("POST", bizsend, channel="wechat_oa"),
    "/cgi-bin/message/subscribe/send": Api("POST", subscribe_send, channel="wechat_mini"),
    "/cgi-bin/template/get_all_private_template": Api("GET", private_templates, channel="wechat_oa"),
    "/wxaapi/newtmpl/gettemplate": Api("GET", private_templates, channel="wechat_mini"),
}
