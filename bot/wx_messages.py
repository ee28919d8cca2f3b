"""What WeChat pushes (公众号 and 小程序 alike), as neutral messages.

One table of events decides: each known name has a reader or is recognised and kept; a name that is not in
the table arrives regularly too, and is kept as unrecognised. Pure: fields in, messages out.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bot.channel import Malformed
from bot.strict_json import storable
from handlers.messages import (
    AuthorisationRevoked,
    ChannelName,
    Click,
    Content,
    EnterChat,
    Follow,
    Inbound,
    Media,
    Scan,
    Sender,
    SenderKind,
    SendOutcome,
    SendReport,
    SubscribeChoice,
    SubscribeGrants,
    Text,
    Unfollow,
    Unhandled,
)

Fields = Mapping[str, object]
"""A parsed push: XML or JSON, nested values included."""

_QR_PREFIX: Final = "qrscene_"
_LATEST_SECOND: Final = 2**33
_LONGEST_ID: Final = 128
_LONGEST_KEPT: Final = 500
_MOST_KEPT: Final = 30
_MENU_REPLY_ID: Final = "bizmsgmenuid"
_ENVELOPE: Final = frozenset({"ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"})
_IDENTIFYING: Final = (
    "EventKey",
    "OpenID",
    "openid",
    "OpenPID",
    "RevokeInfo",
    "MsgID",
    "MsgId",
    "trace_id",
    "CardId",
    "UserCardCode",
    "KfAccount",
    "MenuId",
)
_MEDIA: Final[Mapping[str, tuple[str, ...]]] = {
    "image": ("MediaId", "PicUrl"),
    "voice": ("MediaId", "Format", "Recognition"),
    "video": ("MediaId", "ThumbMediaId"),
    "shortvideo": ("MediaId", "ThumbMediaId"),
    "location": ("Location_X", "Location_Y", "Scale", "Label"),
    "link": ("Title", "Description", "Url"),
    "file": ("Title", "Description", "FileKey", "FileMd5", "FileTotalLen"),
    "miniprogrampage": ("Title", "AppId", "PagePath", "ThumbMediaId"),
}
_BLOCKED_CODES: Final = frozenset({"43004", "43019", "48002", "50005"})


@dataclass(frozen=True, slots=True)
class Addressee:
    """The account that a push reached."""

    channel: ChannelName
    account: str
    app_id: str


def text_of(fields: Fields, *names: str) -> str:
    """The first scalar among `names` that is there, trimmed and storable; "" when there is none.

    Genuine pushes carry ids as numbers or text, some with blanks around them.
    """
    return words_of(fields, *names).strip()


def words_of(fields: Fields, *names: str) -> str:
    """Like `text_of`, but to the character, for what a person wrote."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str):
            if value:
                return storable(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    return ""


def messages_of(fields: Fields, to: Addressee, *, received_at: datetime) -> tuple[Inbound, ...]:
    """The messages of one push; only a report about several sends has more than one.

    Raises:
        Malformed: no sender or no kind: not a message of this platform.
    """
    openid, kind = text_of(fields, "FromUserName"), text_of(fields, "MsgType").lower()
    if not openid or len(openid) > _LONGEST_ID or not (kind or text_of(fields, "InfoType")):
        raise Malformed("a push without sender or kind")
    event = text_of(fields, "Event").lower() if kind == "event" else ""
    person = _person(fields, event, openid, to)
    key = _key(fields, event)
    contents = _event_contents(fields, event) if event else (_message_content(fields, kind),)
    sent_at = _sent_at(fields, received_at)
    mailbox = text_of(fields, "ToUserName")
    return tuple(
        Inbound(person, key if number == 0 else f"{key}:{number}", sent_at, content, mailbox)
        for number, content in enumerate(contents)
    )


def _sent_at(fields: Fields, received_at: datetime) -> datetime:
    seconds = text_of(fields, "CreateTime")
    if seconds.isascii() and seconds.isdigit() and int(seconds) < _LATEST_SECOND:
        return datetime.fromtimestamp(int(seconds), UTC)
    return received_at


def _person(fields: Fields, event: str, openid: str, to: Addressee) -> Sender:
    union_id = text_of(fields, "UnionID", "UnionId") or None
    if event not in _PLATFORM_SPEAKS:
        return Sender(to.channel, to.account, to.app_id, openid, union_id=union_id)
    if event in _PERSON_ELSEWHERE:
        # The envelope's sender is the platform; the person and the app that knows them are in the body.
        openid = text_of(fields, "OpenID", "openid", "OpenPID")[:_LONGEST_ID] or openid
        app_id = text_of(fields, "AppID", "appid")[:_LONGEST_ID] or to.app_id
        return Sender(to.channel, to.account, app_id, openid, SenderKind.PLATFORM, union_id=union_id)
    return Sender(to.channel, to.account, to.app_id, openid, SenderKind.PLATFORM, union_id=union_id)


def _key(fields: Fields, event: str) -> str:
    message_id = text_of(fields, "MsgId")
    if message_id and message_id != "0" and not event:
        return message_id if len(message_id) <= _LONGEST_ID else _digest([message_id])
    # Events have no id, and two clicks in one second share sender and time.
    parts = [text_of(fields, name) for name in ("FromUserName", "CreateTime", "MsgType")]
    parts += [event, *(text_of(fields, name) for name in _IDENTIFYING)]
    parts += [f"{text_of(item, 'TemplateId')}={text_of(item, 'MsgID')}" for item in _listed(fields)]
    if not event:
        parts += [text_of(fields, name) for name in ("InfoType", "Content", "MediaId")]
    return _digest(parts)


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _message_content(fields: Fields, kind: str) -> Content:
    if kind == "text":
        pressed = text_of(fields, _MENU_REPLY_ID)
        return Click(pressed) if pressed else Text(words_of(fields, "Content"))
    if kind in _MEDIA:
        return Media(kind, {name: text_of(fields, name) for name in _MEDIA[kind] if text_of(fields, name)})
    return Unhandled(kind or text_of(fields, "InfoType"), recognised=False, fields=_kept(fields))


def _event_contents(fields: Fields, event: str) -> tuple[Content, ...]:
    if event == "subscribe_msg_sent_event":
        return tuple(_sent_reports(fields)) or (Unhandled(event, recognised=True),)
    reader = _READERS.get(event)
    if reader is not None:
        return (reader(fields),)
    if event in _MINIMISED:
        return (Unhandled(event, recognised=True),)
    return (Unhandled(event, recognised=event in RECOGNISED, fields=_kept(fields)),)


def _kept(fields: Fields) -> dict[str, str]:
    scalars = ((name, text_of(fields, name)) for name in fields if name not in _ENVELOPE)
    kept = [(storable(name)[:_LONGEST_KEPT], value[:_LONGEST_KEPT]) for name, value in scalars if value]
    return dict(kept[:_MOST_KEPT])


def _follow(fields: Fields) -> Content:
    key = text_of(fields, "EventKey")
    return Follow(key.removeprefix(_QR_PREFIX) or None if key.startswith(_QR_PREFIX) else None)


def _scan(fields: Fields) -> Content:
    return Scan(text_of(fields, "EventKey"))


def _scanned_for_us(fields: Fields) -> Content:
    info = fields.get("ScanCodeInfo")
    return Scan(text_of(info, "ScanResult") if isinstance(info, Mapping) else "")


def _click(fields: Fields) -> Content:
    return Click(text_of(fields, "EventKey"))


def _unfollow(_fields: Fields) -> Content:
    return Unfollow()


def _enter(fields: Fields) -> Content:
    return EnterChat(text_of(fields, "SessionFrom") or None)


def _template_report(fields: Fields) -> Content:
    status = text_of(fields, "Status")
    compact = status.lower().replace(" ", "")
    if compact == "success":
        outcome = SendOutcome.DELIVERED
    else:
        outcome = SendOutcome.BLOCKED if "block" in compact else SendOutcome.FAILED
    return SendReport(text_of(fields, "MsgID", "MsgId"), outcome, detail=status[:_LONGEST_KEPT])


def _sent_reports(fields: Fields) -> Iterator[Content]:
    for item in _listed(fields):
        code = text_of(item, "ErrorCode")
        if code in ("", "0"):
            outcome = SendOutcome.DELIVERED
        else:
            outcome = SendOutcome.BLOCKED if code in _BLOCKED_CODES else SendOutcome.FAILED
        detail = f"{code} {text_of(item, 'ErrorStatus')}".strip()[:_LONGEST_KEPT]
        yield SendReport(text_of(item, "MsgID", "MsgId"), outcome, text_of(item, "TemplateId") or None, detail)


def _popup_choices(fields: Fields) -> Content:
    return SubscribeGrants(_choices(fields))


def _managed_choices(fields: Fields) -> Content:
    return SubscribeGrants(_choices(fields), managed=True)


def _choices(fields: Fields) -> dict[str, SubscribeChoice]:
    return {
        text_of(item, "TemplateId"): SubscribeChoice.ACCEPT
        if text_of(item, "SubscribeStatusString").lower() == "accept"
        else SubscribeChoice.REJECT
        for item in _listed(fields)
        if text_of(item, "TemplateId")
    }


def _listed(fields: Fields) -> list[Fields]:
    """The entries of a subscribe event: under a wrapper in XML, at the top in JSON; one alone is not a list."""
    wrappers = ("SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent")
    holder = next((fields[name] for name in wrappers if isinstance(fields.get(name), Mapping)), fields)
    listed = holder.get("List") if isinstance(holder, Mapping) else None
    entries = listed if isinstance(listed, list) else [listed]
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _revoked(fields: Fields) -> Content:
    codes = text_of(fields, "RevokeInfo").replace(";", ",").split(",")
    return AuthorisationRevoked(tuple(code.strip() for code in codes if code.strip()))


def _cancelled(_fields: Fields) -> Content:
    return AuthorisationRevoked(cancelled=True)


_READERS: Final[Mapping[str, Callable[[Fields], Content]]] = {
    "subscribe": _follow,
    "unsubscribe": _unfollow,
    "scan": _scan,
    "click": _click,
    "scancode_waitmsg": _scanned_for_us,
    "enter": _enter,
    "user_enter_tempsession": _enter,
    "templatesendjobfinish": _template_report,
    "subscribe_msg_popup_event": _popup_choices,
    "subscribe_msg_change_event": _managed_choices,
    "user_authorization_revoke": _revoked,
    "user_authorization_cancellation": _cancelled,
}

_MINIMISED: Final = frozenset({"location", "location_select"})
"""Where somebody is: nothing here needs it, so it is not kept (PIPL art. 6, data minimisation)."""

_PERSON_ELSEWHERE: Final = frozenset(
    {"user_info_modified", "user_authorization_revoke", "user_authorization_cancellation"}
)

_PLATFORM_SPEAKS: Final = _PERSON_ELSEWHERE | {
    "templatesendjobfinish",
    "subscribe_msg_sent_event",
    "masssendjobfinish",
    "publishjobfinish",
    "wxa_media_check",
    "wxa_punish_event",
    "card_pass_check",
    "card_not_pass_check",
    "card_sku_remind",
    "card_pay_order",
    "weapp_audit_success",
    "weapp_audit_fail",
    "weapp_audit_delay",
}

RECOGNISED: Final = frozenset(
    {
        *_READERS,
        *_MINIMISED,
        *_PLATFORM_SPEAKS,
        "view",
        "view_miniprogram",
        "scancode_push",
        "pic_sysphoto",
        "pic_photo_or_album",
        "pic_weixin",
        "user_get_card",
        "user_del_card",
        "user_consume_card",
        "user_view_card",
        "user_gifting_card",
        "user_pay_from_pay_cell",
        "update_member_card",
        "submit_membercard_user_info",
        "user_enter_session_from_card",
        "giftcard_pay_done",
        "giftcard_user_accept",
        "giftcard_send_to_friend",
        "kf_create_session",
        "kf_close_session",
        "kf_switch_session",
        "merchant_order",
        "open_product_order_pay",
        "shakearoundusershake",
        "wificonnected",
        "poi_check_notify",
        "add_store_audit_info",
        "modify_store_audit_info",
        "create_map_poi_audit_info",
        "qualification_verify_success",
        "qualification_verify_fail",
        "naming_verify_success",
        "naming_verify_fail",
        "annual_renew",
        "verify_expired",
    }
)
"""Names of events that are known, acted on or not; compared in lower case because senders vary."""
