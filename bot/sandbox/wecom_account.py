"""Tokens, staff login, the directory, menus and media of WeCom."""

import base64
from typing import Any

from bot.sandbox.doors import Reply
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.wechat_media import KINDS, keep_media
from bot.sandbox.wecom_door import Api, WecomCall, ok
from bot.sandbox.wecom_state import CorpToken, StaffCode, WecomState
from bot.sandbox.world import Person, opaque

TOKEN_LIFETIME_S = 7200
CODE_LIFETIME_S = 300


def get_token(call: WecomCall) -> dict[str, Any]:
    """The access token of a secret; asking again gives the same one while it is good."""
    contact = bool(call.account.contact_secret) and call.query.get("corpsecret") == call.account.contact_secret
    kind, tokens = "contact" if contact else "app", call.state.tokens
    for old in [value for value, known in tokens.items() if known.expires_at < call.now - 86_400]:
        del tokens[old]
    good = [t for t in tokens.values() if t.secret_kind == kind and not t.revoked and t.expires_at > call.now]
    token = good[-1] if good else CorpToken(opaque(128), kind, call.now + TOKEN_LIFETIME_S)
    tokens[token.value] = token
    return ok(access_token=token.value, expires_in=round(token.expires_at - call.now))


def issue_staff_code(state: WecomState, person: Person, scope: str, now: float) -> str:
    """A code of the OAuth page, good once for five minutes."""
    for old in [value for value, known in state.staff_codes.items() if known.expires_at < now - 86_400]:
        del state.staff_codes[old]
    code = StaffCode(opaque(43), person.id, scope, now + CODE_LIFETIME_S)
    state.staff_codes[code.value] = code
    return code.value


def get_user_info(call: WecomCall) -> dict[str, Any]:
    """Who logged in: a userid for staff; an outsider has none."""
    code = call.state.staff_codes.get(call.query.get("code", ""))
    if code is None or code.expires_at <= call.now:
        raise PlatformError(40029, "invalid code")
    if code.used:
        raise PlatformError(42022, "code been used")
    code.used = True
    person = call.stage.world.people[code.person]
    call.incoming.person = person.id
    if not person.wecom_userid:
        return ok(openid=opaque(28), external_userid=call.external_userid(person.id))
    answer = ok(userid=person.wecom_userid)
    return {**answer, "user_ticket": opaque(60)} if code.scope == "snsapi_privateinfo" else answer


def get_user(call: WecomCall) -> dict[str, Any]:
    """The directory entry as apps made since 2022 see it."""
    person = call.staff(call.query.get("userid"))
    return ok(userid=person.wecom_userid, name=person.name, department=[1], status=1)


def list_users(call: WecomCall) -> dict[str, Any]:
    """Everybody in the one department."""
    staff = [{"userid": p.wecom_userid, "name": p.name, "department": [1]} for p in call.stage.people.staff()]
    return ok(userlist=staff)


def ticket(call: WecomCall) -> dict[str, Any]:
    """A JS ticket for wx.config or wx.agentConfig."""
    kind = call.query.get("type", "jsapi")
    return ok(ticket=call.state.tickets.setdefault(kind, opaque(86)), expires_in=TOKEN_LIFETIME_S)


def create_menu(call: WecomCall) -> dict[str, Any]:
    """Replace the app's menu."""
    if call.query.get("agentid") != str(call.account.agent_id):
        raise PlatformError(40056, "invalid agentid")
    buttons = call.body.get("button")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        raise PlatformError(40016, "invalid button size")
    call.state.menu = buttons
    call.stage.events.publish("world", {"what": "channels"})
    return ok()


def get_menu(call: WecomCall) -> dict[str, Any]:
    """The app's menu."""
    return ok(button=call.state.menu)


def delete_menu(call: WecomCall) -> dict[str, Any]:
    """Remove the app's menu."""
    call.state.menu = []
    return ok()


def upload(call: WecomCall) -> dict[str, Any]:
    """Temporary media from a multipart form."""
    kind = call.query.get("type", "")
    if kind not in KINDS:
        raise PlatformError(40004, "invalid media type")
    file = next(iter(call.uploads), None)
    if file is None:
        raise PlatformError(41005, "media data missing")
    media = keep_media(call.stage, kind, file.content_type, file.content)
    return ok(type=kind, media_id=media.media_id, created_at=str(int(call.stage.clock.wire())))


def download(call: WecomCall) -> Reply:
    """The bytes of temporary media."""
    media = call.stage.world.media.get(call.query.get("media_id", ""))
    if media is None or media.expires_at <= call.now:
        raise PlatformError(40007, "invalid media_id")
    return Reply(content=base64.b64decode(media.content), content_type=media.content_type)


def unionid_to_external(call: WecomCall) -> dict[str, Any]:
    """The customer of a unionid, when some staff member serves them."""
    person = call.stage.people.by_unionid(str(call.body.get("unionid", "")))
    if person is None or not any(contact.customer == person.id for contact in call.state.contacts):
        raise PlatformError(84061, "not external contact")
    return ok(external_userid=call.external_userid(person.id))


APIS: dict[str, Api] = {
    "/cgi-bin/gettoken": Api("GET", get_token, open=True),
    "/cgi-bin/auth/getuserinfo": Api("GET", get_user_info),
    "/cgi-bin/user/get": Api("GET", get_user),
    "/cgi-bin/user/simplelist": Api("GET", list_users),
    "/cgi-bin/get_jsapi_ticket": Api("GET", ticket),
    "/cgi-bin/ticket/get": Api("GET", ticket),
    "/cgi-bin/menu/create": Api("POST", create_menu),
    "/cgi-bin/menu/get": Api("GET", get_menu),
    "/cgi-bin/menu/delete": Api("GET", delete_menu),
    "/cgi-bin/media/upload": Api("POST", upload, body="multipart"),
    "/cgi-bin/media/get": Api("GET", download),
    "/cgi-bin/idconvert/unionid_to_external_userid": Api("POST", unionid_to_external),
    "/cgi-bin/externalcontact/unionid_to_external_userid": Api("POST", unionid_to_external),
}
