"""What staff and customers do in WeCom."""

from typing import Any

from bot.sandbox.act import Act, BadAct, Done, Verb
from bot.sandbox.people import external_userid
from bot.sandbox.wechat_acts import sample_media
from bot.sandbox.wecom_account import issue_staff_code
from bot.sandbox.wecom_group import confirm, waiting_for
from bot.sandbox.wecom_inbound import meet, send_contact_event, send_event, send_message
from bot.sandbox.wecom_messages import new_response_code
from bot.sandbox.wecom_state import WecomState
from bot.sandbox.world import Line


def _state(act: Act) -> WecomState:
    return act.stage.wecom(act.wecom.key)


def _require_staff(act: Act) -> None:
    if not act.person.wecom_userid:
        raise BadAct("only staff use the app")


def _note(act: Act, sender: str, kind: str, text: str) -> Line:
    return act.stage.screens.show(act.person.id, (act.channel, act.wecom.account), sender, kind, text)


async def _event(act: Act, event: str, fields: dict[str, Any], pressed: Line | None = None) -> Done:
    _require_staff(act)
    return Done(await send_event(act.stage, act.wecom, act.person, event, fields, pressed))


async def say(act: Act) -> Done:
    """A text to the app."""
    _require_staff(act)
    text = act.text("text")
    _note(act, "person", "text", text)
    return Done(await send_message(act.stage, act.wecom, act.person, "text", {"Content": text}))


async def send(act: Act) -> Done:
    """A picture, voice, video, location or link to the app."""
    _require_staff(act)
    kind = act.text("kind", "image")
    fields = {**sample_media(act, kind), **act.fields()}
    _note(act, "person", kind, str(fields.get("Label") or fields.get("Title") or f"[{kind}]"))
    return Done(await send_message(act.stage, act.wecom, act.person, kind, fields))


async def subscribe(act: Act) -> Done:
    """The app becomes visible to this staff member."""
    return await _event(act, "subscribe", {})


async def unsubscribe(act: Act) -> Done:
    """The app is taken away."""
    return await _event(act, "unsubscribe", {})


async def enter(act: Act) -> Done:
    """Open the app's chat."""
    return await _event(act, "enter_agent", {"EventKey": ""})


async def click(act: Act) -> Done:
    """A menu button by its key."""
    _note(act, "person", "event", f"[菜单] {act.text('key')}")
    return await _event(act, "click", {"EventKey": act.text("key")})


async def menu(act: Act) -> Done:
    """A button of the app's menu by its position."""
    button = act.menu_button(_state(act).menu)
    kind = str(button["type"])
    _note(act, "person", "event", f"[菜单] {button.get('name', '')}")
    if kind == "view":
        done = await _event(act, "view", {"EventKey": button.get("url", "")})
        done.data["open"] = button.get("url", "")
        return done
    extra = act.scanned() if kind.startswith("scancode") else {}
    return await _event(act, kind, {"EventKey": button.get("key", ""), **extra})


async def scan(act: Act) -> Done:
    """A scan button of the menu: what the camera read."""
    result = act.text("result")
    _note(act, "person", "event", f"[扫码] {result}")
    info = {"ScanType": "qrcode", "ScanResult": result}
    return await _event(act, "scancode_waitmsg", {"EventKey": act.text("key", "scan"), "ScanCodeInfo": info})


async def tap(act: Act) -> Done:
    """A button of a card, with choices where the card asks for some; links only open."""
    line, button = act.pressed()
    if button.kind != "callback":
        return Done(data={"open": button.value, "kind": button.kind})
    card = line.data.get("message") or {}
    msgid = str(line.data.get("msgid", ""))
    menu_keys = {str(item.get("key")) for item in (card.get("action_menu") or {}).get("action_list") or []}
    fields: dict[str, Any] = {"EventKey": button.value, "TaskId": str(card.get("task_id", ""))}
    fields["CardType"] = card.get("card_type", "")
    if msgid in _state(act).messages:
        fields["ResponseCode"] = new_response_code(_state(act), msgid, act.now)
    if chosen := _selected(act):
        fields["SelectedItems"] = {"SelectedItem": chosen}
    event = "template_card_menu_event" if button.value in menu_keys else "template_card_event"
    return await _event(act, event, fields, line)


def _selected(act: Act) -> list[dict[str, Any]]:
    selected = act.body.get("selected") or {}
    if not isinstance(selected, dict):
        raise BadAct("selected must map a question key to a list of option ids")
    return [{"QuestionKey": key, "OptionIds": {"OptionId": list(ids)}} for key, ids in selected.items()]


async def oauth(act: Act) -> Done:
    """Agree on the login page; somebody who is not staff gets a code too, without a userid behind it."""
    return Done(data={"code": issue_staff_code(_state(act), act.person, act.text("scope", "snsapi_base"), act.now)})


async def add_customer(act: Act) -> Done:
    """Staff add a customer."""
    _require_staff(act)
    half = bool(act.body.get("half"))
    customer, state = act.other("person"), act.text("state", "")
    return Done(await meet(act.stage, act.wecom, act.person, customer, state, half=half), _ids(act, customer.id))


async def add_staff(act: Act) -> Done:
    """A customer adds a staff member, by name or by scanning a 联系我 code."""
    state = act.text("state", "")
    if config_id := act.text("config_id", ""):
        way = _state(act).ways.get(config_id.rsplit("/", 1)[-1])
        if way is None or not way.users:
            raise BadAct("no such contact way")
        staff, state = act.stage.world.people[way.users[0]], way.state
    else:
        staff = act.other("person")
    if not staff.wecom_userid:
        raise BadAct("that is not a staff member")
    return Done(await meet(act.stage, act.wecom, staff, act.person, state), _ids(act, act.person.id))


def _ids(act: Act, customer: str) -> dict[str, str]:
    return {"external_userid": external_userid(act.wecom.corp_id, customer)}


async def remove_customer(act: Act) -> Done:
    """Staff delete a customer."""
    return await _part(act, act.person.id, act.other("person").id, "del_external_contact")


async def remove_staff(act: Act) -> Done:
    """A customer deletes a staff member."""
    return await _part(act, act.other("person").id, act.person.id, "del_follow_user")


async def _part(act: Act, staff: str, customer: str, change: str) -> Done:
    contact = _state(act).contact(staff, customer)
    if contact is None:
        raise BadAct("these two are not in contact")
    _state(act).contacts.remove(contact)
    return Done(await send_contact_event(act.stage, act.wecom, contact, change, {}))


async def confirm_group_message(act: Act) -> Done:
    """Send a 企业群发 that waits for this staff member."""
    wanted = act.text("msgid")
    task = next((t for t in waiting_for(_state(act), act.person.id) if t.msgid == wanted), None)
    if task is None:
        raise BadAct("no such message waits for this person")
    sent = confirm(act.stage, (act.channel, act.wecom.account), _state(act), task, act.person.id)
    _note(act, "system", "notice", f"已发送给{sent}位客户")
    return Done(data={"sent": sent})


async def event(act: Act) -> Done:
    """Any event that has no verb of its own."""
    fields = act.fields()
    if not fields.get("Event"):
        raise BadAct("fields.Event is needed")
    return await _event(act, str(fields["Event"]), fields)


VERBS: dict[str, Verb] = {
    "say": say,
    "send": send,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "enter": enter,
    "click": click,
    "menu": menu,
    "scan": scan,
    "tap": tap,
    "oauth": oauth,
    "add_customer": add_customer,
    "remove_customer": remove_customer,
    "add_staff": add_staff,
    "remove_staff": remove_staff,
    "confirm": confirm_group_message,
    "event": event,
}
