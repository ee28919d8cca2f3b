"""When an official account or mini-program may write to somebody: interaction windows and subscription grants."""

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.wechat_state import WechatState, Window

WINDOWS: dict[str, tuple[float, int]] = {"message": (48 * 3600, 5), "action": (60, 3), "enter": (60, 2)}
"""Seconds and messages that a contact opens: a message, a menu click/follow/scan, entering a mini-program chat."""


def open_window(state: WechatState, person: str, kind: str, now: float) -> None:
    """Renew the window that this contact opens."""
    seconds, messages = WINDOWS[kind]
    state.windows.setdefault(person, {})[kind] = Window(kind, now + seconds, messages)


def close_windows(state: WechatState, person: str) -> None:
    """Nothing may be sent any more (the person left)."""
    state.windows.pop(person, None)


def current_window(state: WechatState, person: str, now: float) -> Window | None:
    """The window that the next message would use: the one that ends first among those with messages left."""
    alive = [window for window in state.windows.get(person, {}).values() if window.expires_at > now]
    usable = sorted((w for w in alive if w.remaining > 0), key=lambda w: w.expires_at)
    return next(iter(usable or alive), None)


def spend_window(state: WechatState, person: str, now: float) -> None:
    """Use one message up. Raises PlatformError 45015 outside every window, 45047 when they are used up."""
    window = current_window(state, person, now)
    if window is None:
        raise PlatformError(45015, "response out of time limit or subscription is canceled")
    if window.remaining == 0:
        raise PlatformError(45047, "out of response count limit")
    window.remaining -= 1


def grant(state: WechatState, person: str, template_id: str) -> None:
    """One acceptance is one future message."""
    grants = state.grants.setdefault(person, {})
    grants[template_id] = grants.get(template_id, 0) + 1


def revoke_grants(state: WechatState, person: str, template_id: str) -> None:
    """The person switched this subscription off."""
    state.grants.get(person, {}).pop(template_id, None)


def spend_grant(state: WechatState, person: str, template_id: str) -> None:
    """Use one grant up. Raises PlatformError 43101 when there is none."""
    grants = state.grants.get(person, {})
    if grants.get(template_id, 0) < 1:
        raise PlatformError(43101, "user refuse to accept the msg")
    grants[template_id] -= 1
