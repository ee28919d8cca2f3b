"""What a person does in an official account or mini-program."""

import base64
import hashlib
import json
import os
from typing import Any

import phonenumbers
from wechatpy.crypto import WeChatCipher

from bot.sandbox.act import Act, BadAct, Done, Verb
from bot.sandbox.mini_api import new_session_key
from bot.sandbox.people import openid, unionid
from bot.sandbox.wechat_codes import issue
from bot.sandbox.wechat_inbound import send_event, send_message
from bot.sandbox.wechat_media import find_scene, keep_media, qr_png
from bot.sandbox.wechat_menu import visible_menu
from bot.sandbox.wechat_messages import subscribe_fields
from bot.sandbox.wechat_state import Follow, Login, WechatState
from bot.sandbox.wechat_windows import close_windows, grant, open_window, revoke_grants
from bot.sandbox.world import Line

SESSION_KEPT_S = 3 * 86_400
SILENT_VOICE = b"#!AMR\n" + b"\x7c" * 32


def _state(act: Act) -> WechatState:
    return act.stage.wechat(act.wechat.key)


def _note(act: Act, sender: str, kind: str, text: str, data: dict[str, Any] | None = None) -> Line:
    where = (act.channel, act.wechat.account)
    return act.stage.screens.show(act.person.id, where, sender, kind, text, data=data)


def _require_following(act: Act) -> None:
    if act.channel == "wechat_oa" and act.person.id not in _state(act).follows:
        raise BadAct("this person does not follow the account")


async def _event(act: Act, event: str, fields: dict[str, Any]) -> Done:
    return Done(await send_event(act.stage, act.wechat, act.person, event, fields))


async def follow(act: Act) -> Done:
    """Follow, with the scene of a QR code if there was one."""
    if act.person.id in _state(act).follows:
        raise BadAct("this person follows the account already")
    code = find_scene(act.stage, act.text("ticket", ""))
    scene = code.scene if code else act.text("scene", "")
    return await _follow(act, scene, code.ticket if code else "")


async def _follow(act: Act, scene: str, ticket: str) -> Done:
    state = _state(act)
    found = "ADD_SCENE_QR_CODE" if scene else "ADD_SCENE_SEARCH"
    state.follows[act.person.id] = Follow(int(act.stage.clock.wire()), found, scene)
    open_window(state, act.person.id, "action", act.now)
    _note(act, "system", "notice", "已关注公众号")
    act.stage.events.publish("world", {"what": "channels", "person": act.person.id})
    fields = {"EventKey": f"qrscene_{scene}" if scene else ""}
    return await _event(act, "subscribe", {**fields, "Ticket": ticket or f"gQ_{scene}"} if scene else fields)


async def unfollow(act: Act) -> Done:
    """Stop following: nothing can be sent any more and tags are gone."""
    _require_following(act)
    state = _state(act)
    del state.follows[act.person.id]
    close_windows(state, act.person.id)
    _note(act, "system", "notice", "已取消关注")
    act.stage.events.publish("world", {"what": "channels", "person": act.person.id})
    return await _event(act, "unsubscribe", {"EventKey": ""})


async def say(act: Act) -> Done:
    """A text."""
    _require_following(act)
    text = act.text("text")
    _note(act, "person", "text", text)
    return Done(await send_message(act.stage, act.wechat, act.person, "text", {"Content": text}))


async def send(act: Act) -> Done:
    """A picture, voice, video, location or link."""
    _require_following(act)
    kind = act.text("kind", "image")
    fields = {**sample_media(act, kind), **act.fields()}
    words = str(fields.get("Label") or fields.get("Title") or f"[{kind}]")
    data = {"url": fields["PicUrl"]} if "PicUrl" in fields else {}
    _note(act, "person", kind, words, data)
    return Done(await send_message(act.stage, act.wechat, act.person, kind, fields))


def sample_media(act: Act, kind: str) -> dict[str, Any]:
    """Plausible fields for a message of that kind, its media stored. Raises BadAct for an unknown kind."""
    base = act.stage.config.public_base
    if kind == "image":
        media = keep_media(act.stage, "image", "image/png", qr_png("https://xiaohui.example/"))
        return {"PicUrl": f"{base}/control/media/{media.media_id}", "MediaId": media.media_id}
    if kind == "voice":
        media = keep_media(act.stage, "voice", "audio/amr", SILENT_VOICE)
        return {"MediaId": media.media_id, "Format": "amr"}
    if kind in ("video", "shortvideo"):
        media = keep_media(act.stage, "video", "video/mp4", b"\0" * 64)
        return {"MediaId": media.media_id, "ThumbMediaId": media.media_id}
    if kind == "location":
        return {"Location_X": "31.230416", "Location_Y": "121.473701", "Scale": 16, "Label": "上海市人民广场"}
    if kind == "link":
        return {"Title": "一个链接", "Description": "", "Url": "https://xiaohui.example/"}
    if kind == "miniprogrampage":
        return {"Title": "小程序卡片", "AppId": act.wechat.app_id, "PagePath": "pages/index/index"}
    raise BadAct("kind must be image, voice, video, shortvideo, location, link or miniprogrampage")


async def click(act: Act) -> Done:
    """A CLICK button of the menu by its key."""
    _require_following(act)
    key = act.text("key")
    open_window(_state(act), act.person.id, "action", act.now)
    _note(act, "person", "event", f"[菜单] {key}")
    return await _event(act, "CLICK", {"EventKey": key})


async def menu(act: Act) -> Done:
    """A button of the visible menu by its position."""
    _require_following(act)
    buttons, menu_id = visible_menu(_state(act), act.person.id)
    return await _press_menu(act, act.menu_button(buttons), menu_id)


async def _press_menu(act: Act, button: dict[str, Any], menu_id: str) -> Done:
    kind = str(button["type"])
    open_window(_state(act), act.person.id, "action", act.now)
    _note(act, "person", "event", f"[菜单] {button.get('name', '')}")
    tail = {"MenuId": menu_id} if menu_id else {}
    if kind == "view":
        done = await _event(act, "VIEW", {"EventKey": button["url"], **tail})
        done.data["open"] = button["url"]
        return done
    if kind == "miniprogram":
        done = await _event(act, "view_miniprogram", {"EventKey": button["pagepath"], **tail})
        done.data |= {"open": button["pagepath"], "app_id": button["appid"]}
        return done
    event = "CLICK" if kind == "click" else kind
    extra = act.scanned() if kind.startswith("scancode") else {}
    return await _event(act, event, {"EventKey": button.get("key", ""), **extra})


async def scan(act: Act) -> Done:
    """Scan a QR code of the account: follow with its scene, or SCAN for a follower. An expired code does nothing."""
    wanted = act.text("ticket", "") or act.text("url", "")
    code = find_scene(act.stage, wanted) if wanted else None
    if wanted and (code is None or 0 < code.expires_at <= act.now):
        _note(act, "system", "notice", "二维码已过期")
        return Done()
    scene = code.scene if code else act.text("scene")
    ticket = code.ticket if code else ""
    if act.person.id not in _state(act).follows:
        return await _follow(act, scene, ticket)
    open_window(_state(act), act.person.id, "action", act.now)
    _note(act, "person", "event", "[扫码]")
    return await _event(act, "SCAN", {"EventKey": scene, "Ticket": ticket or f"gQ_{scene}"})


async def locate(act: Act) -> Done:
    """Share the position on entering the chat."""
    _require_following(act)
    fields = {"Latitude": act.text("latitude", "31.230416"), "Longitude": act.text("longitude", "121.473701")}
    return await _event(act, "LOCATION", {**fields, "Precision": "65.0"})


async def tap(act: Act) -> Done:
    """A msgmenu entry, a link, or a card."""
    _, button = act.pressed()
    if button.kind != "callback":
        return Done(data={"open": button.value, "kind": button.kind})
    _require_following(act)
    _note(act, "person", "text", button.text)
    fields: dict[str, Any] = {"Content": button.text, "bizmsgmenuid": _menu_id(button.value)}
    # A msgmenu entry counts as a menu click, which opens the smaller window.
    return Done(await send_message(act.stage, act.wechat, act.person, "text", fields, window="action"))


def _menu_id(value: str) -> str:
    _, named, rest = value.partition("msgmenuid=")
    return rest.partition("&")[0] if named else value


async def subscribe(act: Act) -> Done:
    """Accept or reject subscription messages in the popup."""
    accept = act.body.get("accept", True) is not False
    wanted = act.texts("template_ids")
    unknown = [template for template in wanted if template not in act.stage.world.templates]
    if unknown:
        raise BadAct(f"unknown template {unknown[0]}")
    if accept:
        for template in wanted:
            grant(_state(act), act.person.id, template)
    answer = "accept" if accept else "reject"
    scene = "0" if act.channel == "wechat_mini" else "1"
    reports = [{"TemplateId": t, "SubscribeStatusString": answer, "PopupScene": scene} for t in wanted]
    _note(act, "system", "notice", "已允许订阅消息" if accept else "已拒绝订阅消息")
    fields = subscribe_fields(act.wechat.body, "SubscribeMsgPopupEvent", reports)
    done = await _event(act, "subscribe_msg_popup_event", fields)
    done.data = dict.fromkeys(wanted, answer)
    return done


async def manage_subscriptions(act: Act) -> Done:
    """Switch subscriptions off in the settings."""
    wanted = act.texts("template_ids")
    for template in wanted:
        revoke_grants(_state(act), act.person.id, template)
    reports = [{"TemplateId": template, "SubscribeStatusString": "reject"} for template in wanted]
    return await _event(
        act, "subscribe_msg_change_event", subscribe_fields(act.wechat.body, "SubscribeMsgChangeEvent", reports)
    )


async def oauth(act: Act) -> Done:
    """Agree on the authorise page."""
    scope = act.text("scope", "snsapi_base")
    snapshot = bool(act.body.get("snapshot")) or act.person.flags.snapshot
    code = issue(_state(act), "oauth", act.person, act.now, scope=scope, snapshot=snapshot)
    return Done(data={"code": code})


async def revoke(act: Act) -> Done:
    """Withdraw an authorisation, or cancel the whole account's access to one's data."""
    own, app_id = openid(act.wechat.app_id, act.person.id), act.wechat.app_id
    if act.body.get("cancel"):
        fields: dict[str, Any] = {"OpenID": own, "UnionID": unionid(act.person.id), "AppID": app_id}
        return await _platform_event(act, "user_authorization_cancellation", fields)
    fields = {"OpenID": own, "AppID": app_id, "RevokeInfo": act.text("info", "8"), "PluginID": "", "OpenPID": ""}
    return await _platform_event(act, "user_authorization_revoke", fields)


async def _platform_event(act: Act, event: str, fields: dict[str, Any]) -> Done:
    # In the privacy events the sender is the platform itself; the person stands in OpenID.
    return await _event(act, event, {"FromUserName": openid(act.wechat.app_id, "weixin"), **fields})


async def event(act: Act) -> Done:
    """Any event that has no verb of its own."""
    fields = act.fields()
    if not fields.get("Event"):
        raise BadAct("fields.Event is needed")
    return await _event(act, str(fields["Event"]), fields)


async def login(act: Act) -> Done:
    """wx.login: a code. The session key stays for some days, unless the client asks the platform for a fresh one."""
    known = _state(act).logins.get(act.person.id)
    kept = known and not act.body.get("refresh") and act.now - known.at < SESSION_KEPT_S
    key = known.session_key if known and kept else new_session_key()
    _state(act).logins[act.person.id] = Login(key, act.now)
    return Done(data={"code": issue(_state(act), "login", act.person, act.now)})


async def phone(act: Act) -> Done:
    """The phone button: a code that can be exchanged once."""
    try:
        phonenumbers.parse(act.person.phone)
    except phonenumbers.NumberParseException:
        raise BadAct("this person has no phone with a country code") from None
    return Done(data={"code": issue(_state(act), "phone", act.person, act.now)})


async def enter(act: Act) -> Done:
    """Open the mini-program's customer-service chat."""
    open_window(_state(act), act.person.id, "enter", act.now)
    return await _event(act, "user_enter_tempsession", {"SessionFrom": act.text("session_from", "")})


async def encrypted(act: Act) -> Done:
    """Data the client library encrypts under the live session key (the old getUserInfo way)."""
    known = _state(act).logins.get(act.person.id)
    if known is None:
        raise BadAct("this person has not logged in")
    payload = act.body.get("payload") or {"openId": openid(act.wechat.app_id, act.person.id)}
    payload = {**payload, "watermark": {"timestamp": int(act.stage.clock.wire()), "appid": act.wechat.app_id}}
    iv, clear = os.urandom(16), json.dumps(payload, ensure_ascii=False).encode()
    padding = 16 - len(clear) % 16
    cipher = WeChatCipher(base64.b64decode(known.session_key), iv)
    sealed = cipher.encrypt(clear + bytes([padding]) * padding)
    raw = json.dumps({"nickName": act.person.name}, ensure_ascii=False)
    signature = hashlib.sha1((raw + known.session_key).encode()).hexdigest()  # noqa: S324 - the protocol's hash
    data = {"encryptedData": base64.b64encode(sealed).decode(), "iv": base64.b64encode(iv).decode()}
    return Done(data={**data, "rawData": raw, "signature": signature})


SHARED: dict[str, Verb] = {
    "say": say,
    "send": send,
    "tap": tap,
    "subscribe": subscribe,
    "manage_subscriptions": manage_subscriptions,
    "revoke": revoke,
    "event": event,
}
OA_VERBS: dict[str, Verb] = {
    **SHARED,
    "follow": follow,
    "unfollow": unfollow,
    "click": click,
    "menu": menu,
    "scan": scan,
    "locate": locate,
    "oauth": oauth,
}
MINI_VERBS: dict[str, Verb] = {**SHARED, "login": login, "phone": phone, "enter": enter, "encrypted": encrypted}
