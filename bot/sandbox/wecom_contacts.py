"""Customer contact (客户联系): customers, remarks, tags, 联系我 codes and the 20-second welcome message."""

from typing import Any

from bot.sandbox.people import unionid
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.screens import links_as_buttons
from bot.sandbox.wecom_door import Api, WecomCall, ok, strings
from bot.sandbox.wecom_state import Contact, ContactWay, CorpTag, WelcomeCode
from bot.sandbox.world import opaque

WELCOME_WITHIN_S = 20
CODES_KEPT_S = 3600
TEXT_BYTES = 4000


def relation(call: WecomCall, userid: Any, external: Any) -> Contact:
    """The relation of staff and customer. Raises PlatformError 84061 when there is none (any more)."""
    contact = call.state.contact(call.staff(userid).id, call.customer(external).id)
    if contact is None:
        raise PlatformError(84061, "not external contact")
    return contact


def _follow_user(call: WecomCall, contact: Contact) -> dict[str, Any]:
    tags = [call.state.corp_tags[tag] for tag in contact.tags if tag in call.state.corp_tags]
    return {
        "userid": call.stage.world.people[contact.staff].wecom_userid,
        "remark": contact.remark,
        "description": contact.description,
        "createtime": contact.since,
        "tags": [{"group_name": t.group_name, "tag_name": t.name, "tag_id": t.id, "type": 1} for t in tags],
        "remark_corp_name": "",
        "remark_mobiles": contact.remark_mobiles,
        "oper_userid": call.external_userid(contact.customer),
        "add_way": contact.add_way,
        "state": contact.state,
    }


def _external_contact(call: WecomCall, customer: str) -> dict[str, Any]:
    person = call.stage.world.people[customer]
    return {
        "external_userid": call.external_userid(customer),
        "name": person.name,
        "avatar": f"{call.stage.config.public_base}/control/avatar/{customer}",
        "type": 1,
        "gender": 0,
        "unionid": unionid(customer),
    }


def get(call: WecomCall) -> dict[str, Any]:
    """A customer and every staff member who serves them."""
    person = call.customer(call.query.get("external_userid"))
    contacts = [contact for contact in call.state.contacts if contact.customer == person.id]
    if not contacts:
        raise PlatformError(84061, "not external contact")
    follow_users = [_follow_user(call, contact) for contact in contacts]
    return ok(external_contact=_external_contact(call, person.id), follow_user=follow_users)


def list_customers(call: WecomCall) -> dict[str, Any]:
    """Customers of one staff member."""
    staff = call.staff(call.query.get("userid"))
    found = [call.external_userid(c.customer) for c in call.state.contacts if c.staff == staff.id]
    if not found:
        raise PlatformError(84061, "not external contact")
    return ok(external_userid=found)


def batch_by_user(call: WecomCall) -> dict[str, Any]:
    """Customers of several staff members, in pages."""
    userids = strings(call.body.get("userid_list"))
    if not 1 <= len(userids) <= 100:
        raise PlatformError(40031, "invalid userid list")
    staff = {call.staff(userid).id for userid in userids}
    wanted = [contact for contact in call.state.contacts if contact.staff in staff]
    start, size = (int(call.body.get("cursor") or 0), min(int(call.body.get("limit") or 50), 100))
    page = wanted[start : start + size]
    listed = [
        {"external_contact": _external_contact(call, c.customer), "follow_info": _follow_user(call, c)} for c in page
    ]
    after = str(start + size) if start + size < len(wanted) else ""
    return ok(external_contact_list=listed, next_cursor=after)


def follow_user_list(call: WecomCall) -> dict[str, Any]:
    """Staff who may serve customers."""
    return ok(follow_user=[person.wecom_userid for person in call.stage.people.staff()])


def remark(call: WecomCall) -> dict[str, Any]:
    """A staff member's own notes about a customer."""
    contact = relation(call, call.body.get("userid"), call.body.get("external_userid"))
    if len(str(call.body.get("remark", ""))) > 20 or len(str(call.body.get("description", ""))) > 150:
        raise PlatformError(45002, "content size out of limit")
    contact.remark = str(call.body.get("remark", contact.remark))
    contact.description = str(call.body.get("description", contact.description))
    if "remark_mobiles" in call.body:
        contact.remark_mobiles = strings(call.body["remark_mobiles"])
    return ok()


def new_welcome_code(call_state: dict[str, WelcomeCode], staff: str, customer: str, now: float) -> str:
    """A code that lets the app greet a new customer once within 20 seconds."""
    for old in [value for value, known in call_state.items() if known.expires_at < now - CODES_KEPT_S]:
        del call_state[old]
    code = WelcomeCode(opaque(43), staff, customer, now + WELCOME_WITHIN_S)
    call_state[code.value] = code
    return code.value


def message_text(body: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Text and attachments of a message to customers. Raises PlatformError for what the platform refuses."""
    text = str((body.get("text") or {}).get("content") or "")
    attachments = body.get("attachments") or []
    if not isinstance(attachments, list) or (not text and not attachments):
        raise PlatformError(40063, "some parameters are empty")
    if len(text.encode()) > TEXT_BYTES or len(attachments) > 9:
        raise PlatformError(45002, "content size out of limit")
    return text, attachments


def send_welcome(call: WecomCall) -> dict[str, Any]:
    """Greet a new customer, in the name of the staff member they added."""
    code = call.state.welcome_codes.get(str(call.body.get("welcome_code", "")))
    if code is None:
        raise PlatformError(41050, "invalid welcome code")
    if code.used:
        raise PlatformError(41051, "external user has started chatting or welcome message sent")
    if code.expires_at <= call.now:
        raise PlatformError(41050, "welcome code expired")
    text, attachments = message_text(call.body)
    code.used = True
    call.incoming.person = code.customer
    shown, buttons = links_as_buttons(text)
    data = {"staff": code.staff, "attachments": attachments}
    call.stage.screens.show(code.customer, call.where, "account", "welcome", shown, buttons=buttons, data=data)
    return ok()


def add_way(call: WecomCall) -> dict[str, Any]:
    """A 联系我 code with our channel state."""
    users = strings(call.body.get("user"))
    kind, scene = call.body.get("type"), call.body.get("scene")
    if kind not in (1, 2) or scene not in (1, 2) or (kind == 1 and len(users) != 1) or len(users) > 100:
        raise PlatformError(40058, "invalid Request Parameter")
    if len(str(call.body.get("state", ""))) > 30 or len(str(call.body.get("remark", ""))) > 30:
        raise PlatformError(45002, "content size out of limit")
    staff = [call.staff(userid).id for userid in users]
    skip_verify = call.body.get("skip_verify", True) is not False
    state, note = str(call.body.get("state", "")), str(call.body.get("remark", ""))
    way = ContactWay(opaque(32), state, staff, note, skip_verify, int(kind), int(scene))
    call.state.ways[way.config_id] = way
    return ok(config_id=way.config_id, qr_code=_way_picture(call, way))


def _way_picture(call: WecomCall, way: ContactWay) -> str:
    return f"{call.stage.config.public_base}/platform/wecom/way/{way.config_id}"


def _way(call: WecomCall) -> ContactWay:
    way = call.state.ways.get(str(call.body.get("config_id", "")))
    if way is None:
        raise PlatformError(41044, "invalid config_id")
    return way


def get_way(call: WecomCall) -> dict[str, Any]:
    """A 联系我 code."""
    way = _way(call)
    users = [call.stage.world.people[staff].wecom_userid for staff in way.users]
    shown = {"config_id": way.config_id, "type": way.type, "scene": way.scene, "state": way.state, "user": users}
    shown |= {"remark": way.remark, "skip_verify": way.skip_verify, "qr_code": _way_picture(call, way)}
    return ok(contact_way=shown)


def update_way(call: WecomCall) -> dict[str, Any]:
    """Change state, remark or staff of a code."""
    way = _way(call)
    way.state = str(call.body.get("state", way.state))
    way.remark = str(call.body.get("remark", way.remark))
    if "user" in call.body:
        way.users = [call.staff(userid).id for userid in strings(call.body["user"])]
    return ok()


def delete_way(call: WecomCall) -> dict[str, Any]:
    """Remove a code."""
    del call.state.ways[_way(call).config_id]
    return ok()


def list_tags(call: WecomCall) -> dict[str, Any]:
    """Corporation tags by group."""
    groups: dict[str, dict[str, Any]] = {}
    for tag in call.state.corp_tags.values():
        empty = {"group_id": tag.group_id, "group_name": tag.group_name, "create_time": tag.created_at, "tag": []}
        group = groups.setdefault(tag.group_id, empty)
        group["tag"].append({"id": tag.id, "name": tag.name, "create_time": tag.created_at, "order": 0})
    return ok(tag_group=list(groups.values()))


def add_tags(call: WecomCall) -> dict[str, Any]:
    """New tags in a new or known group."""
    wanted = call.body.get("tag")
    if not isinstance(wanted, list) or not wanted:
        raise PlatformError(40063, "some parameters are empty")
    if len(call.state.corp_tags) + len(wanted) > 3000:
        raise PlatformError(40126, "tag count out of limit")
    group_name = str(call.body.get("group_name", ""))
    known = next((t for t in call.state.corp_tags.values() if t.group_name == group_name), None)
    group_id = str(call.body.get("group_id") or (known.group_id if known else opaque(32, "et")))
    if any(
        t.group_id == group_id and t.name in {str(w.get("name")) for w in wanted} for t in call.state.corp_tags.values()
    ):
        raise PlatformError(40071, "tag name already exists")
    at = int(call.stage.clock.wire())
    made = [CorpTag(opaque(32, "et"), str(item.get("name", "")), group_id, group_name, at) for item in wanted]
    call.state.corp_tags.update({tag.id: tag for tag in made})
    listed = [{"id": tag.id, "name": tag.name, "create_time": at, "order": 0} for tag in made]
    return ok(tag_group={"group_id": group_id, "group_name": group_name, "create_time": at, "tag": listed})


def edit_tag(call: WecomCall) -> dict[str, Any]:
    """Rename a tag."""
    tag = call.state.corp_tags.get(str(call.body.get("id", "")))
    if tag is None:
        raise PlatformError(40068, "invalid tagid")
    tag.name = str(call.body.get("name", tag.name))
    return ok()


def delete_tags(call: WecomCall) -> dict[str, Any]:
    """Remove tags or whole groups, from customers too."""
    tags, groups = strings(call.body.get("tag_id")), strings(call.body.get("group_id"))
    gone = {t.id for t in call.state.corp_tags.values() if t.id in tags or t.group_id in groups}
    if not gone:
        raise PlatformError(40068, "invalid tagid")
    for tag in gone:
        del call.state.corp_tags[tag]
    for contact in call.state.contacts:
        contact.tags = [tag for tag in contact.tags if tag not in gone]
    return ok()


def mark_tag(call: WecomCall) -> dict[str, Any]:
    """Tags of one staff member on one customer."""
    contact = relation(call, call.body.get("userid"), call.body.get("external_userid"))
    add, remove = (strings(call.body.get("add_tag")), strings(call.body.get("remove_tag")))
    if not add and not remove:
        raise PlatformError(40063, "some parameters are empty")
    if any(tag not in call.state.corp_tags for tag in [*add, *remove]):
        raise PlatformError(40068, "invalid tagid")
    kept = [tag for tag in contact.tags if tag not in remove]
    contact.tags = kept + [tag for tag in add if tag not in kept]
    return ok()


PREFIX = "/cgi-bin/externalcontact/"
APIS: dict[str, Api] = {
    PREFIX + "get": Api("GET", get),
    PREFIX + "list": Api("GET", list_customers),
    PREFIX + "batch/get_by_user": Api("POST", batch_by_user),
    PREFIX + "get_follow_user_list": Api("GET", follow_user_list),
    PREFIX + "remark": Api("POST", remark),
    PREFIX + "send_welcome_msg": Api("POST", send_welcome),
    PREFIX + "add_contact_way": Api("POST", add_way),
    PREFIX + "get_contact_way": Api("POST", get_way),
    PREFIX + "update_contact_way": Api("POST", update_way),
    PREFIX + "del_contact_way": Api("POST", delete_way),
    PREFIX + "get_corp_tag_list": Api("POST", list_tags),
    PREFIX + "add_corp_tag": Api("POST", add_tags),
    PREFIX + "edit_corp_tag": Api("POST", edit_tag),
    PREFIX + "del_corp_tag": Api("POST", delete_tags),
    PREFIX + "mark_tag": Api("POST", mark_tag),
}
