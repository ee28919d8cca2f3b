"""One-use codes: issued to a person, redeemed once by the product."""

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.wechat_state import Code, WechatState
from bot.sandbox.world import Person, opaque

LIFETIME_S = 300
KEPT_S = 86_400


def issue(
    state: WechatState, purpose: str, person: Person, now: float, *, scope: str = "", snapshot: bool = False
) -> str:
    """A code for `oauth`, `login` or `phone`, good for five minutes."""
    for value in [value for value, code in state.codes.items() if code.expires_at < now - KEPT_S]:
        del state.codes[value]
    code = Code(opaque(32), purpose, person.id, now + LIFETIME_S, scope=scope, snapshot=snapshot)
    state.codes[code.value] = code
    return code.value


def redeem(state: WechatState, purpose: str, value: str, now: float) -> Code:
    """Use a code up. Raises PlatformError 41008 missing, 40029 unknown, 40163 used, 42003 expired."""
    if not value:
        raise PlatformError(41008, "missing code")
    code = state.codes.get(value)
    if code is None or code.purpose != purpose:
        raise PlatformError(40029, "invalid code")
    if code.used:
        raise PlatformError(40163, "code been used")
    if code.expires_at <= now:
        raise PlatformError(42003, "code expired")
    code.used = True
    return code
