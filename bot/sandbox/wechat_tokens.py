"""Access tokens, tickets and quota tools of WeChat."""

from typing import Any

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.wechat_door import Api, WechatCall, ok
from bot.sandbox.wechat_state import Ticket, Token, WechatState
from bot.sandbox.world import opaque

LIFETIME_S = 7200
OVERLAP_S = 300
FORCED_REFRESH_EVERY_S = 30
FORCED_REFRESHES_PER_DAY = 20
DAY_S = 86_400


def _new_token(state: WechatState, family: str, now: float) -> Token:
    token = Token(opaque(136), family, now + LIFETIME_S)
    for value in [value for value, known in state.tokens.items() if known.expires_at < now - DAY_S]:
        del state.tokens[value]
    state.tokens[token.value] = token
    return token


def _family(state: WechatState, family: str) -> list[Token]:
    return [token for token in state.tokens.values() if token.family == family and not token.revoked]


def _shown(token: Token, now: float) -> dict[str, Any]:
    return {"access_token": token.value, "expires_in": round(token.expires_at - now)}


def token(call: WechatCall) -> dict[str, Any]:
    """Every call makes a new token and leaves the previous one only a short overlap."""
    if call.query.get("grant_type") != "client_credential":
        raise PlatformError(40002, "invalid grant_type")
    for old in _family(call.state, "token"):
        old.expires_at = min(old.expires_at, call.now + OVERLAP_S)
    return _shown(_new_token(call.state, "token", call.now), call.now)


def stable_token(call: WechatCall) -> dict[str, Any]:
    """The same token while it is good, renewed in its last five minutes; forced refresh is rare and immediate."""
    if call.body.get("grant_type") != "client_credential":
        raise PlatformError(40002, "invalid grant_type")
    state, now = call.state, call.now
    current = max(_family(state, "stable"), key=lambda t: t.expires_at, default=None)
    if call.body.get("force_refresh") is True and current is not None and _may_force(state, now):
        for old in _family(state, "stable"):
            old.revoked = True
        state.forced_at.append(now)
        current = None
    if current is None or current.expires_at - now <= OVERLAP_S:
        current = _new_token(state, "stable", now)
    return _shown(current, now)


def _may_force(state: WechatState, now: float) -> bool:
    state.forced_at = [at for at in state.forced_at if at > now - DAY_S]
    if len(state.forced_at) >= FORCED_REFRESHES_PER_DAY:
        raise PlatformError(45009, "reach max api daily quota limit")
    return not state.forced_at or now - state.forced_at[-1] >= FORCED_REFRESH_EVERY_S


def ticket(call: WechatCall) -> dict[str, Any]:
    """A JS-SDK ticket, the same one until it expires."""
    kind = call.query.get("type", "jsapi")
    known = call.state.tickets.get(kind)
    if known is None or known.expires_at <= call.now:
        known = call.state.tickets[kind] = Ticket(opaque(86), call.now + LIFETIME_S)
    return ok(ticket=known.value, expires_in=round(known.expires_at - call.now))


def callback_ip(call: WechatCall) -> dict[str, Any]:
    """Where callbacks come from: the sandbox is on this machine."""
    return {"ip_list": ["127.0.0.1"]}


def quota(call: WechatCall) -> dict[str, Any]:
    """Use of one path today."""
    path = str(call.body.get("cgi_path", ""))
    if not path.startswith("/"):
        raise PlatformError(76021, "cgi_path not found")
    limit, used = (call.stage.quotas.limit(path), call.stage.quotas.used(call.account.key, path))
    return ok(quota={"daily_limit": limit, "used": used, "remain": limit - used})


def clear_quota(call: WechatCall) -> dict[str, Any]:
    """Give the day back, ten times a month."""
    if call.body.get("appid", call.query.get("appid")) != call.account.app_id:
        raise PlatformError(40013, "invalid appid")
    month = call.stage.world.usage_day[:7]
    if call.stage.world.next(f"clear_quota {call.account.key} {month}") > 10:
        raise PlatformError(48006, "forbid to clear quota because of reaching the limit")
    call.stage.quotas.clear(call.account.key)
    return ok()


def callback_check(call: WechatCall) -> dict[str, Any]:
    """Network diagnosis: everything is near."""
    return {"dns": [{"ip": "127.0.0.1", "real_operator": "UNICOM"}], "ping": []}


APIS: dict[str, Api] = {
    "/cgi-bin/token": Api("GET", token, auth="secret"),
    "/cgi-bin/stable_token": Api("POST", stable_token, auth="secret"),
    "/cgi-bin/ticket/getticket": Api("GET", ticket),
    "/cgi-bin/getcallbackip": Api("GET", callback_ip),
    "/cgi-bin/get_api_domain_ip": Api("GET", callback_ip),
    "/cgi-bin/callback/check": Api("POST", callback_check),
    "/cgi-bin/openapi/quota/get": Api("POST", quota),
    "/cgi-bin/clear_quota": Api("POST", clear_quota),
    "/cgi-bin/clear_quota/v2": Api("POST", clear_quota, auth="secret", body="none"),
}
