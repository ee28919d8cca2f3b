"""Server APIs of the mini-program (小程序): login, phone number, codes, content safety."""

import base64
import hashlib
import hmac
import secrets
from typing import Any

import phonenumbers

from bot.sandbox.doors import Reply
from bot.sandbox.people import unionid
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.wechat_codes import redeem
from bot.sandbox.wechat_door import Api, WechatCall, ok
from bot.sandbox.wechat_media import qr_png
from bot.sandbox.wechat_state import Login
from bot.sandbox.world import opaque

CHINA = 86
VISITED_WITHIN_S = 7200
SCENE_CHARACTERS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$&'()*+,/:;=?@-._~")
RISKY_WORDS = ("违规", "赌博", "色情", "gambling")
LOGINS_PER_MINUTE = 100


def new_session_key() -> str:
    """Sixteen random bytes, base64."""
    return base64.b64encode(secrets.token_bytes(16)).decode()


def code_to_session(call: WechatCall) -> dict[str, Any]:
    """Exchange a wx.login code; the session key is the one that this login made."""
    if call.query.get("grant_type", "authorization_code") != "authorization_code":
        raise PlatformError(40002, "invalid grant_type")
    code = redeem(call.state, "login", call.query.get("js_code", ""), call.now)
    call.incoming.person = code.person
    if call.stage.world.people[code.person].flags.risky:
        raise PlatformError(40226, "code blocked")
    if not call.stage.quotas.rate(f"login {call.account.key} {code.person}", 60, LOGINS_PER_MINUTE):
        raise PlatformError(45011, "api minute-quota reach limit, must slower, retry next minute")
    login = call.state.logins.setdefault(code.person, Login(new_session_key(), call.now))
    return {
        "openid": call.openid(code.person),
        "session_key": login.session_key,
        "unionid": unionid(code.person),
        "errcode": 0,
        "errmsg": "",
    }


def _session(call: WechatCall) -> Login:
    person = call.person(call.query.get("openid"))
    login = call.state.logins.get(person.id)
    if login is None:
        raise PlatformError(87009, "invalid signature")
    expected = hmac.new(login.session_key.encode(), b"", hashlib.sha256).hexdigest()
    given = call.query.get("signature", "")
    if call.query.get("sig_method") != "hmac_sha256" or not hmac.compare_digest(expected, given):
        raise PlatformError(87009, "invalid signature")
    return login


def check_session(call: WechatCall) -> dict[str, Any]:
    """Whether a session key is still the live one."""
    _session(call)
    return ok()


def reset_session(call: WechatCall) -> dict[str, Any]:
    """Replace the session key."""
    login = _session(call)
    login.session_key = new_session_key()
    return ok(openid=call.query["openid"], session_key=login.session_key)


def phone_number(call: WechatCall) -> dict[str, Any]:
    """Exchange the phone button's code, once."""
    code = redeem(call.state, "phone", str(call.body.get("code", "")), call.now)
    call.incoming.person = code.person
    person = call.stage.world.people[code.person]
    if call.body.get("openid") not in (None, "", call.openid(person.id)):
        raise PlatformError(40003, "invalid openid")
    number = phonenumbers.parse(person.phone)
    pure = str(number.national_number)
    info = {
        "phoneNumber": pure if number.country_code == CHINA else person.phone,
        "purePhoneNumber": pure,
        "countryCode": str(number.country_code),
        "watermark": {"timestamp": int(call.stage.clock.wire()), "appid": call.account.app_id},
    }
    return ok(phone_info=info)


def unlimited_code(call: WechatCall) -> Reply:
    """A mini-program code with a scene. The picture is a QR code that names page and scene."""
    scene = str(call.body.get("scene", ""))
    if not 1 <= len(scene) <= 32 or set(scene) - SCENE_CHARACTERS:
        raise PlatformError(40169, "invalid length for scene, or the data is not json string")
    page = str(call.body.get("page") or "")
    if page.startswith("/"):
        raise PlatformError(40159, "invalid length for path, or the data is not json string")
    checked = call.body.get("check_path", True) is not False
    if page and checked and call.account.pages and page not in call.account.pages:
        raise PlatformError(41030, "invalid page")
    if not 280 <= int(call.body.get("width", 430)) <= 1280:
        raise PlatformError(40097, "invalid args: width")
    target = f"weixin://sandbox/{call.account.app_id}/{page}?scene={scene}"
    return Reply(content=qr_png(target), content_type="image/png")


def check_text(call: WechatCall) -> dict[str, Any]:
    """Content safety, version 2: texts with one of a few words are risky."""
    person = call.person(call.body.get("openid"))
    login = call.state.logins.get(person.id)
    if login is None or call.now - login.at > VISITED_WITHIN_S:
        raise PlatformError(61010, "code is expired")
    if call.body.get("version") != 2 or call.body.get("scene") not in (1, 2, 3, 4):
        raise PlatformError(40129, "invalid scene")
    content = str(call.body.get("content", ""))
    if not 1 <= len(content) <= 2500:
        raise PlatformError(45002, "content size out of limit")
    risky = any(word in content.lower() for word in RISKY_WORDS)
    verdict = {"suggest": "risky", "label": 20001} if risky else {"suggest": "pass", "label": 100}
    detail = [{"strategy": "content_model", "errcode": 0, "prob": 90, **verdict}]
    return ok(result=verdict, detail=detail, trace_id=opaque(24))


def url_link(call: WechatCall) -> dict[str, Any]:
    """A link that opens the mini-program from outside WeChat."""
    path = str(call.body.get("path") or "")
    if path and call.account.pages and path not in call.account.pages:
        raise PlatformError(40165, "invalid weapp pagepath")
    if len(str(call.body.get("query") or "")) > 1024:
        raise PlatformError(40212, "invalid query")
    return ok(url_link=f"https://wxaurl.cn/{opaque(11)}")


APIS: dict[str, Api] = {
    "/sns/jscode2session": Api("GET", code_to_session, auth="secret", channel="wechat_mini"),
    "/wxa/checksession": Api("GET", check_session, channel="wechat_mini"),
    "/wxa/resetusersessionkey": Api("GET", reset_session, channel="wechat_mini"),
    "/wxa/business/getuserphonenumber": Api("POST", phone_number, channel="wechat_mini"),
    "/wxa/getwxacodeunlimit": Api("POST", unlimited_code, channel="wechat_mini"),
    "/wxa/msg_sec_check": Api("POST", check_text, channel="wechat_mini"),
    "/wxa/generate_urllink": Api("POST", url_link, channel="wechat_mini"),
}
