"""Followers, tags and the blacklist of an official account."""

from typing import Any

from bot.sandbox.people import unionid
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.wechat_door import Api, WechatCall, as_list, ok
from bot.sandbox.wechat_state import Follow
from bot.sandbox.world import Person

FIRST_OWN_TAG = 100
PAGE = 10_000


def describe(call: WechatCall, person: Person) -> dict[str, Any]:
    """A person as user/info shows them: of somebody who does not follow, hardly anything."""
    follow = call.state.follows.get(person.id)
    if follow is None:
        return {"subscribe": 0, "openid": call.openid(person.id)}
    return {
        "subscribe": 1,
        "openid": call.openid(person.id),
        "nickname": "",
        "sex": 0,
        "language": person.language,
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "subscribe_time": follow.since,
        "unionid": unionid(person.id),
        "remark": follow.remark,
        "groupid": 0,
        "tagid_list": follow.tags,
        "subscribe_scene": follow.scene_name,
        "qr_scene": int(follow.qr_scene) if follow.qr_scene.isdigit() else 0,
        "qr_scene_str": "" if follow.qr_scene.isdigit() else follow.qr_scene,
    }


def info(call: WechatCall) -> dict[str, Any]:
    """One person."""
    return describe(call, call.person(call.query.get("openid")))


def batch_get(call: WechatCall) -> dict[str, Any]:
    """Up to a hundred people."""
    wanted = as_list(call.body.get("user_list"))
    if not 1 <= len(wanted) <= 100:
        raise PlatformError(40032, "invalid openid list size")
    return {"user_info_list": [describe(call, call.person(item.get("openid"))) for item in wanted]}


def followers(call: WechatCall) -> dict[str, Any]:
    """A page of follower openids."""
    openids = [call.openid(person) for person in call.state.follows]
    start = call.query.get("next_openid", "")
    if start:
        if start not in openids:
            raise PlatformError(40003, "invalid openid")
        rest = openids[openids.index(start) + 1 :]
    else:
        rest = openids
    page = rest[:PAGE]
    answer: dict[str, Any] = {"total": len(openids), "count": len(page)}
    if page:
        answer["data"] = {"openid": page}
    return {**answer, "next_openid": page[-1] if page else ""}


def _follow(call: WechatCall, value: Any) -> Follow:
    follow = call.state.follows.get(call.person(value).id)
    if follow is None:
        raise PlatformError(43004, "require subscribe")
    return follow


def update_remark(call: WechatCall) -> dict[str, Any]:
    """Our own name for a follower."""
    remark = str(call.body.get("remark", ""))
    if len(remark) >= 30:
        raise PlatformError(45002, "content size out of limit")
    _follow(call, call.body.get("openid")).remark = remark
    return ok()


def _tag_name(call: WechatCall) -> str:
    name = str((call.body.get("tag") or {}).get("name", ""))
    if len(name.encode()) > 30:
        raise PlatformError(45158, "tag name too long")
    if not name or name in call.state.tags.values():
        raise PlatformError(45157, "invalid tag name")
    return name


def create_tag(call: WechatCall) -> dict[str, Any]:
    """A new tag."""
    name = _tag_name(call)
    if len(call.state.tags) >= 100:
        raise PlatformError(45056, "too many tag now, no need to add new")
    number = call.stage.world.next(f"tag {call.account.key}", FIRST_OWN_TAG)
    call.state.tags[number] = name
    return {"tag": {"id": number, "name": name}}


def list_tags(call: WechatCall) -> dict[str, Any]:
    """All tags with their number of followers."""
    counts = {n: sum(n in follow.tags for follow in call.state.follows.values()) for n in call.state.tags}
    return {"tags": [{"id": n, "name": name, "count": counts[n]} for n, name in call.state.tags.items()]}


def _tag_id(call: WechatCall, value: Any) -> int:
    if value in (0, 1, 2):
        raise PlatformError(45058, "can't modify sys tag")
    if value not in call.state.tags:
        raise PlatformError(45159, "invalid tag id")
    return int(value)


def update_tag(call: WechatCall) -> dict[str, Any]:
    """Rename a tag."""
    number = _tag_id(call, (call.body.get("tag") or {}).get("id"))
    call.state.tags[number] = _tag_name(call)
    return ok()


def delete_tag(call: WechatCall) -> dict[str, Any]:
    """Remove a tag from everybody."""
    number = _tag_id(call, (call.body.get("tag") or {}).get("id"))
    del call.state.tags[number]
    for follow in call.state.follows.values():
        follow.tags = [tag for tag in follow.tags if tag != number]
    return ok()


def _tagged(call: WechatCall) -> tuple[int, list[Follow]]:
    openids = as_list(call.body.get("openid_list"))
    if not 1 <= len(openids) <= 50:
        raise PlatformError(40032, "invalid openid list size")
    if any(call.stage.people.by_openid(call.account.app_id, str(value)) is None for value in openids):
        raise PlatformError(49003, "not match openid with appid")
    return _tag_id(call, call.body.get("tagid")), [_follow(call, value) for value in openids]


def tag_followers(call: WechatCall) -> dict[str, Any]:
    """Put a tag on followers; one follower carries at most twenty."""
    number, follows = _tagged(call)
    if any(len(follow.tags) >= 20 and number not in follow.tags for follow in follows):
        raise PlatformError(45059, "user has too many tag")
    for follow in follows:
        # The tag applied last decides about conditional menus, so it moves to the end.
        follow.tags = [tag for tag in follow.tags if tag != number] + [number]
    return ok()


def untag_followers(call: WechatCall) -> dict[str, Any]:
    """Take a tag off followers."""
    number, follows = _tagged(call)
    for follow in follows:
        follow.tags = [tag for tag in follow.tags if tag != number]
    return ok()


def tags_of(call: WechatCall) -> dict[str, Any]:
    """Tags of one follower."""
    return {"tagid_list": _follow(call, call.body.get("openid")).tags}


def followers_of_tag(call: WechatCall) -> dict[str, Any]:
    """Followers who carry a tag."""
    number = _tag_id(call, call.body.get("tagid"))
    openids = [call.openid(person) for person, follow in call.state.follows.items() if number in follow.tags]
    return {"count": len(openids), "data": {"openid": openids}, "next_openid": openids[-1] if openids else ""}


def blacklist(call: WechatCall) -> dict[str, Any]:
    """Put followers on the blacklist."""
    for value in as_list(call.body.get("openid_list")):
        person = call.person(value)
        if person.id not in call.state.blacklist:
            call.state.blacklist.append(person.id)
    return ok()


def unblacklist(call: WechatCall) -> dict[str, Any]:
    """Take followers off the blacklist."""
    forgiven = {call.person(value).id for value in as_list(call.body.get("openid_list"))}
    call.state.blacklist = [person for person in call.state.blacklist if person not in forgiven]
    return ok()


APIS: dict[str, Api] = {
    "/cgi-bin/user/info": Api("GET", info, channel="wechat_oa"),
    "/cgi-bin/user/info/batchget": Api("POST", batch_get, channel="wechat_oa"),
    "/cgi-bin/user/info/updateremark": Api("POST", update_remark, channel="wechat_oa"),
    "/cgi-bin/user/get": Api("GET", followers, channel="wechat_oa"),
    "/cgi-bin/tags/create": Api("POST", create_tag, channel="wechat_oa"),
    "/cgi-bin/tags/get": Api("GET", list_tags, channel="wechat_oa"),
    "/cgi-bin/tags/update": Api("POST", update_tag, channel="wechat_oa"),
    "/cgi-bin/tags/delete": Api("POST", delete_tag, channel="wechat_oa"),
    "/cgi-bin/tags/members/batchtagging": Api("POST", tag_followers, channel="wechat_oa"),
    "/cgi-bin/tags/members/batchuntagging": Api("POST", untag_followers, channel="wechat_oa"),
    "/cgi-bin/tags/members/batchblacklist": Api("POST", blacklist, channel="wechat_oa"),
    "/cgi-bin/tags/members/batchunblacklist": Api("POST", unblacklist, channel="wechat_oa"),
    "/cgi-bin/tags/getidlist": Api("POST", tags_of, channel="wechat_oa"),
    "/cgi-bin/user/tag/get": Api("POST", followers_of_tag, channel="wechat_oa"),
}
