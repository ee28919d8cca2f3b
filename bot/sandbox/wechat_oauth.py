"""Web login (OAuth2) of the official account: code, per-user tokens, the virtual user of snapshot mode."""

from typing import Any

from bot.sandbox.people import unionid, virtual_openid
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.wechat_codes import redeem
from bot.sandbox.wechat_door import Api, WechatCall, ok
from bot.sandbox.wechat_state import UserToken
from bot.sandbox.world import opaque

LIFETIME_S = 7200


def access_token(call: WechatCall) -> dict[str, Any]:
    """Exchange the code of the authorise page."""
    if call.query.get("grant_type") != "authorization_code":
        raise PlatformError(40002, "invalid grant_type")
    code = redeem(call.state, "oauth", call.query.get("code", ""), call.now)
    call.incoming.person = code.person
    who = virtual_openid(call.account.app_id, code.person) if code.snapshot else call.openid(code.person)
    token = UserToken(opaque(100), opaque(100), code.person, who, code.scope, call.now + LIFETIME_S, code.snapshot)
    call.state.user_tokens[token.value] = token
    return _shown(token)


def _shown(token: UserToken) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "access_token": token.value,
        "expires_in": LIFETIME_S,
        "refresh_token": token.refresh,
        "openid": token.openid,
        "scope": token.scope,
    }
    if token.snapshot:
        answer["is_snapshotuser"] = 1
    elif token.scope == "snsapi_userinfo":
        answer["unionid"] = unionid(token.person)
    return answer


def refresh_token(call: WechatCall) -> dict[str, Any]:
    """A new per-user token for an old one."""
    wanted = call.query.get("refresh_token", "")
    known = next((t for t in call.state.user_tokens.values() if t.refresh == wanted), None)
    if known is None:
        raise PlatformError(40030, "invalid refresh_token")
    del call.state.user_tokens[known.value]
    known.value, known.expires_at = opaque(100), call.now + LIFETIME_S
    call.state.user_tokens[known.value] = known
    return _shown(known)


def _user_token(call: WechatCall) -> UserToken:
    known = call.state.user_tokens.get(call.query.get("access_token", ""))
    if known is None:
        raise PlatformError(40001, "invalid credential, access_token is invalid or not latest")
    if known.expires_at <= call.now:
        raise PlatformError(42001, "access_token expired")
    if known.openid != call.query.get("openid"):
        raise PlatformError(40003, "invalid openid")
    return known


def userinfo(call: WechatCall) -> dict[str, Any]:
    """Nickname and avatar; sex and region are not given any more."""
    token = _user_token(call)
    if token.scope != "snsapi_userinfo":
        raise PlatformError(48001, "api unauthorized")
    person = call.stage.world.people[token.person]
    name = "微信用户" if token.snapshot else person.name
    answer = {"openid": token.openid, "nickname": name, "sex": 0, "province": "", "city": "", "country": ""}
    answer |= {"headimgurl": f"{call.stage.config.public_base}/control/avatar/{person.id}", "privilege": []}
    return answer if token.snapshot else {**answer, "unionid": unionid(person.id)}


def check(call: WechatCall) -> dict[str, Any]:
    """Whether a per-user token is still good."""
    _user_token(call)
    return ok()


APIS: dict[str, Api] = {
    "/sns/oauth2/access_token": Api("GET", access_token, auth="secret", channel="wechat_oa"),
    "/sns/oauth2/refresh_token": Api("GET", refresh_token, auth="appid", channel="wechat_oa"),
    "/sns/userinfo": Api("GET", userinfo, auth="user", channel="wechat_oa"),
    "/sns/auth": Api("GET", check, auth="user", channel="wechat_oa"),
}
