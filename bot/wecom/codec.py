"""What WeCom pushes, as neutral messages. Pure: parsed fields in, one message out."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from bot.channel import Malformed
from bot.wx_messages import Addressee, Fields, text_of
from handlers.messages import (
    CardPressed,
    Click,
    Content,
    CustomerAdded,
    CustomerRemoved,
    EnterChat,
    Follow,
    Inbound,
    Media,
    Scan,
    Sender,
    SenderKind,
    StaffChanged,
    Text,
    Unfollow,
    Unhandled,
)

SYSTEM: Final = "sys"
"""How WeCom names itself as sender of events about people."""

_LATEST_SECOND: Final = 2**33
_LONGEST_ID: Final = 128
_LONGEST_KEPT: Final = 500
_MOST_KEPT: Final = 30
_INACTIVE: Final = frozenset({"2", "5"})
"""Values of a member's Status: disabled, left the corp."""

_ENVELOPE: Final = frozenset({"ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "WelcomeCode"})
_PERSONAL: Final = frozenset(
    {"Name", "Mobile", "Email", "BizMail", "Avatar", "Address", "Telephone", "Alias", "Gender"}
)
"""Fields of the address book that membership has no use for: not kept."""

_IDENTIFYING: Final = (
    "FromUserName",
    "CreateTime",
    "TimeStamp",
    "MsgType",
    "InfoType",
    "Event",
    "ChangeType",
    "EventKey",
    "AgentID",
    "SuiteId",
    "AuthCorpId",
    "UserID",
    "ExternalUserID",
    "ChatId",
    "UpdateDetail",
    "Id",
    "TagId",
    "TagType",
    "TaskId",
    "JobId",
    "Token",
    "LinkId",
)
_MEDIA: Final[Mapping[str, tuple[str, ...]]] = {
    "image": ("MediaId", "PicUrl"),
    "voice": ("MediaId", "Format"),
    "video": ("MediaId", "ThumbMediaId"),
    "shortvideo": ("MediaId", "ThumbMediaId"),
    "location": ("Location_X", "Location_Y", "Scale", "Label"),
    "link": ("Title", "Description", "Url"),
    "file": ("MediaId", "Title", "Description"),
}


def decode(fields: Fields, *, to: Addressee, received_at: datetime) -> Inbound:
    """The neutral message of one decrypted push.

    The sender is a member of staff, or the platform when it reports about somebody; then `external_id`
    is the person the report is about.

    Raises:
        Malformed: neither a message of an application (`MsgType`) nor of a suite (`InfoType`).
    """
    kind = text_of(fields, "MsgType").lower()
    if kind == "event":
        content = _event(fields)
    elif kind:
        content = _message(fields, kind)
    elif text_of(fields, "InfoType"):
        # Envelopes of third-party suites are about other corps' installations; a self-built application has none.
        content = Unhandled(text_of(fields, "InfoType"), recognised=True, fields=_kept(fields))
    else:
        raise Malformed("a push without kind")
    return Inbound(
        sender=_sender(fields, content, to),
        key=_key(fields, kind),
        sent_at=_sent_at(fields, received_at),
        content=content,
        addressed_to=text_of(fields, "ToUserName"),
    )


def _message(fields: Fields, kind: str) -> Content:
    if kind == "text":
        return Text(text_of(fields, "Content"))
    if kind in _MEDIA:
        return Media(kind, {name: text_of(fields, name) for name in _MEDIA[kind] if text_of(fields, name)})
    return Unhandled(kind, recognised=False, fields=_kept(fields))


def _event(fields: Fields) -> Content:
    event = text_of(fields, "Event").lower()
    change = text_of(fields, "ChangeType").lower()
    reader = _READERS.get((event, change)) or _READERS.get((event, ""))
    if reader is not None:
        return reader(fields)
    name = f"{event}/{change}" if change else event
    if event in _MINIMISED:
        return Unhandled(name, recognised=True)
    return Unhandled(name, recognised=event in RECOGNISED, fields=_kept(fields))


def _sender(fields: Fields, content: Content, to: Addressee) -> Sender:
    sender = text_of(fields, "FromUserName")[:_LONGEST_ID]
    if isinstance(content, CustomerAdded | CustomerRemoved):
        sender, kind = content.external_user_id, SenderKind.PLATFORM
    elif isinstance(content, StaffChanged):
        sender, kind = content.staff_id, SenderKind.PLATFORM
    elif not sender or sender.lower() == SYSTEM:
        sender, kind = sender or SYSTEM, SenderKind.PLATFORM
    else:
        kind = SenderKind.STAFF
    return Sender(to.channel, to.account, to.app_id, sender, kind)


def _key(fields: Fields, kind: str) -> str:
    message_id = text_of(fields, "MsgId")
    if message_id and kind != "event" and len(message_id) <= _LONGEST_ID:
        return message_id
    # Events have no id, and changes of several people share sender and second.
    parts = [text_of(fields, name) for name in _IDENTIFYING]
    parts += [] if kind == "event" else [text_of(fields, "MsgId", "Content", "MediaId")]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _sent_at(fields: Fields, received_at: datetime) -> datetime:
    seconds = text_of(fields, "CreateTime", "TimeStamp").strip()
    if seconds.isascii() and seconds.isdigit() and int(seconds[:12]) < _LATEST_SECOND:
        return datetime.fromtimestamp(int(seconds[:12]), UTC)
    return received_at


def _kept(fields: Fields) -> dict[str, str]:
    names = (name for name in fields if name not in _ENVELOPE and name not in _PERSONAL)
    kept = ((name[:_LONGEST_KEPT], text_of(fields, name)[:_LONGEST_KEPT]) for name in names)
    return dict([pair for pair in kept if pair[1]][:_MOST_KEPT])


def _scan(fields: Fields) -> Content:
    info = fields.get("ScanCodeInfo")
    if not isinstance(info, Mapping):
        return Scan("")
    result = text_of(info, "ScanResult")
    # A bar code arrives as "CODE_128,6901234567892"; a QR code as it is.
    return Scan(result.partition(",")[2] or result if text_of(info, "ScanType").lower() == "barcode" else result)


def _card_pressed(fields: Fields) -> Content:
    return CardPressed(text_of(fields, "TaskId"), text_of(fields, "EventKey"), text_of(fields, "ResponseCode") or None)


def _customer_added(fields: Fields) -> Content:
    return CustomerAdded(
        staff_id=text_of(fields, "UserID"),
        external_user_id=text_of(fields, "ExternalUserID"),
        state=text_of(fields, "State") or None,
        welcome_code=text_of(fields, "WelcomeCode") or None,
    )


def _customer_left(fields: Fields) -> Content:
    return CustomerRemoved(text_of(fields, "UserID"), text_of(fields, "ExternalUserID"), by_customer=True)


def _customer_dropped(fields: Fields) -> Content:
    return CustomerRemoved(text_of(fields, "UserID"), text_of(fields, "ExternalUserID"), by_customer=False)


def _staff_updated(fields: Fields) -> Content:
    return StaffChanged(text_of(fields, "UserID"), removed=text_of(fields, "Status") in _INACTIVE)


_READERS: Final[Mapping[tuple[str, str], Callable[[Fields], Content]]] = {
    ("subscribe", ""): lambda _fields: Follow(),
    ("unsubscribe", ""): lambda _fields: Unfollow(),
    ("enter_agent", ""): lambda _fields: EnterChat("enter_agent"),
    ("click", ""): lambda fields: Click(text_of(fields, "EventKey")),
    ("scancode_push", ""): _scan,
    ("scancode_waitmsg", ""): _scan,
    ("template_card_event", ""): _card_pressed,
    ("template_card_menu_event", ""): _card_pressed,
    ("taskcard_click", ""): _card_pressed,
    ("change_external_contact", "add_external_contact"): _customer_added,
    ("change_external_contact", "add_half_external_contact"): _customer_added,
    ("change_external_contact", "del_follow_user"): _customer_left,
    ("change_external_contact", "del_external_contact"): _customer_dropped,
    ("change_contact", "update_user"): _staff_updated,
    ("change_contact", "delete_user"): lambda fields: StaffChanged(text_of(fields, "UserID"), removed=True),
}
"""(Event, ChangeType) in lower case → reader; an empty ChangeType reads every one."""

_MINIMISED: Final = frozenset({"location", "location_select"})
"""Where somebody is: nothing here needs it, so it is not kept (PIPL art. 6, data minimisation)."""

RECOGNISED: Final = frozenset(
    {
        *(event for event, _change in _READERS),
        *_MINIMISED,
        "view",
        "view_miniprogram",
        "pic_sysphoto",
        "pic_photo_or_album",
        "pic_weixin",
        "batch_job_result",
        "close_inactive_agent",
        "reopen_inactive_agent",
        "open_approval_change",
        "sys_approval_change",
        "share_agent_change",
        "share_chain_change",
        "switch_workbench_mode",
        "kf_msg_or_event",
        "kf_account_auth_change",
        "change_external_chat",
        "change_external_tag",
        "customer_acquisition",
        "msgaudit_notify",
        "living_status_change",
        "upload_media_job_finish",
    }
)
"""Every event that WeCom's documentation names for an application."""
