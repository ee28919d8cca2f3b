"""Menus of the official account: default, conditional, and which one a person sees."""

from typing import Any

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.wechat_door import Api, WechatCall, as_list, escaped_unicode, ok
from bot.sandbox.wechat_state import ConditionalMenu, WechatState

TYPES = frozenset(
    [
        "click",
        "view",
        "miniprogram",
        "scancode_push",
        "scancode_waitmsg",
        "pic_sysphoto",
        "pic_photo_or_album",
        "pic_weixin",
        "location_select",
        "media_id",
        "view_limited",
        "article_id",
        "article_view_limited",
    ]
)
KEYED = TYPES - {"view", "miniprogram", "media_id", "view_limited", "article_id", "article_view_limited"}
REFUSED_CRITERIA = frozenset({"sex", "country", "province", "city", "language"})


def check_buttons(buttons: list[Any]) -> list[dict[str, Any]]:
    """The buttons of a menu. Raises PlatformError 40016 to 40027 for what the platform refuses."""
    if not 1 <= len(buttons) <= 3:
        raise PlatformError(40016, "invalid button size")
    for button in buttons:
        children = as_list(button.get("sub_button"))
        if children:
            _check_name(button, 16, 40018)
            if len(children) > 5:
                raise PlatformError(40023, "invalid sub button size")
            for child in children:
                _check_name(child, 60, 40025)
                _check_action(child, 40024, 40026, 40027)
        else:
            _check_name(button, 16, 40018)
            _check_action(button, 40017, 40019, 40020)
    return buttons


def _check_name(button: dict[str, Any], limit: int, code: int) -> None:
    if not 1 <= len(str(button.get("name", "")).encode()) <= limit:
        raise PlatformError(code, "invalid button name size")


def _check_action(button: dict[str, Any], bad_type: int, bad_key: int, bad_url: int) -> None:
    kind = button.get("type")
    if kind not in TYPES:
        raise PlatformError(bad_type, "invalid button type")
    if kind in KEYED and not 1 <= len(str(button.get("key", "")).encode()) <= 128:
        raise PlatformError(bad_key, "invalid button key size")
    if kind in ("view", "miniprogram") and not 1 <= len(str(button.get("url", "")).encode()) <= 1024:
        raise PlatformError(bad_url, "invalid button url size")
    if kind == "miniprogram" and not (button.get("appid") and button.get("pagepath")):
        raise PlatformError(bad_type, "appid and pagepath are required")


def create(call: WechatCall) -> dict[str, Any]:
    """Replace the default menu."""
    if escaped_unicode(call.incoming):
        raise PlatformError(40033, "invalid charset. please check your request, if include \\uxxxx will create fail!")
    call.state.menu = check_buttons(as_list(call.body.get("button")))
    call.stage.events.publish("world", {"what": "channels"})
    return ok()


def get(call: WechatCall) -> dict[str, Any]:
    """All menus."""
    if call.state.menu is None:
        raise PlatformError(46003, "menu no exist")
    answer: dict[str, Any] = {"menu": {"button": call.state.menu}}
    if call.state.conditional_menus:
        answer["conditionalmenu"] = [vars(menu) for menu in call.state.conditional_menus]
    return answer


def delete(call: WechatCall) -> dict[str, Any]:
    """Delete the default menu, and with it the conditional ones."""
    call.state.menu, call.state.conditional_menus = None, []
    call.stage.events.publish("world", {"what": "channels"})
    return ok()


def add_conditional(call: WechatCall) -> dict[str, Any]:
    """A menu for a tag or a client platform."""
    if call.state.menu is None:
        raise PlatformError(65303, "there is no selfmenu, please create selfmenu first")
    rule = call.body.get("matchrule")
    if not isinstance(rule, dict) or not any(rule.values()):
        raise PlatformError(65305, "matchrule is empty")
    if REFUSED_CRITERIA & {key for key, value in rule.items() if value}:
        raise PlatformError(65320, "criteria not supported any more")
    buttons = check_buttons(as_list(call.body.get("button")))
    menu_id = call.stage.world.next("menuid", 200_000_001)
    known = {key: str(value) for key, value in rule.items() if value}
    call.state.conditional_menus.append(ConditionalMenu(menu_id, buttons, known))
    call.stage.events.publish("world", {"what": "channels"})
    return {"menuid": str(menu_id)}


def delete_conditional(call: WechatCall) -> dict[str, Any]:
    """Remove one conditional menu."""
    menu_id = str(call.body.get("menuid"))
    kept = [menu for menu in call.state.conditional_menus if str(menu.menuid) != menu_id]
    if len(kept) == len(call.state.conditional_menus):
        raise PlatformError(65301, "menuid not exist")
    call.state.conditional_menus = kept
    return ok()


def visible_menu(state: WechatState, person_id: str) -> tuple[list[dict[str, Any]], str]:
    """What this person sees, and the menu id when it is a conditional one: the newest rule
    that matches wins, and of several tags the one applied last counts."""
    follow = state.follows.get(person_id)
    last_tag = str(follow.tags[-1]) if follow and follow.tags else ""
    for menu in reversed(state.conditional_menus):
        # The sandbox's phones are neither iOS nor Android, so a platform rule matches only "3 others".
        platform = menu.matchrule.get("client_platform_type", "3")
        if platform == "3" and menu.matchrule.get("tag_id", last_tag) == last_tag:
            return menu.button, str(menu.menuid)
    return state.menu or [], ""


def try_match(call: WechatCall) -> dict[str, Any]:
    """Which menu a follower would see."""
    person = call.person(call.body.get("user_id"))
    if call.state.menu is None:
        raise PlatformError(46003, "menu no exist")
    return {"button": visible_menu(call.state, person.id)[0]}


APIS: dict[str, Api] = {
    "/cgi-bin/menu/create": Api("POST", create, channel="wechat_oa"),
    "/cgi-bin/menu/get": Api("GET", get, channel="wechat_oa"),
    "/cgi-bin/get_current_selfmenu_info": Api("GET", get, channel="wechat_oa"),
    "/cgi-bin/menu/delete": Api("GET", delete, channel="wechat_oa"),
    "/cgi-bin/menu/addconditional": Api("POST", add_conditional, channel="wechat_oa"),
    "/cgi-bin/menu/delconditional": Api("POST", delete_conditional, channel="wechat_oa"),
    "/cgi-bin/menu/trymatch": Api("POST", try_match, channel="wechat_oa"),
}
