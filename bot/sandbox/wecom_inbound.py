"""Messages and events of WeCom to the product, and the passive reply coming back."""

from typing import Any

from bot.sandbox.config import WecomAccount
from bot.sandbox.deliver import Callback, Delivery, deliver
from bot.sandbox.envelopes import open_wecom_reply, seal_wecom
from bot.sandbox.people import external_userid
from bot.sandbox.stage import Stage
from bot.sandbox.wechat_inbound import media_url, reply_text
from bot.sandbox.wecom_cards import template_card
from bot.sandbox.wecom_contacts import new_welcome_code
from bot.sandbox.wecom_state import Contact
from bot.sandbox.world import Line, Person

FIRST_MESSAGE_ID = 7_300_000_000_000_000_001
APP_FAILED = "应用没有回应，请稍后再试"


async def send_message(
    stage: Stage, account: WecomAccount, person: Person, kind: str, fields: dict[str, Any]
) -> Delivery:
    """A message of that MsgType from a staff member to the app."""
    message_id = str(stage.world.next("wecom message", FIRST_MESSAGE_ID))
    content = {**_head(stage, account, person.wecom_userid, kind), **fields, "MsgId": int(message_id)}
    content["AgentID"] = account.agent_id
    delivery = await _send(stage, account, person, content, message_id, None)
    if delivery.result == "failed":
        stage.screens.show(person.id, (account.channel, account.account), "system", "notice", APP_FAILED)
    return delivery


async def send_event(
    stage: Stage, account: WecomAccount, person: Person, event: str, fields: dict[str, Any], pressed: Line | None = None
) -> Delivery:
    """An app event from a staff member; `pressed` is the card that a reply may change."""
    content = {**_head(stage, account, person.wecom_userid, "event"), "Event": event, **fields}
    content["AgentID"] = account.agent_id
    return await _send(stage, account, person, content, "", pressed)


async def send_contact_event(
    stage: Stage, account: WecomAccount, contact: Contact, change: str, fields: dict[str, Any]
) -> Delivery:
    """A change_external_contact event; it comes from `sys`."""
    staff = stage.world.people[contact.staff]
    content = {**_head(stage, account, "sys", "event"), "Event": "change_external_contact", "ChangeType": change}
    content |= {"UserID": staff.wecom_userid, "ExternalUserID": external_userid(account.corp_id, contact.customer)}
    return await _send(stage, account, staff, {**content, **fields}, "", None)


async def meet(
    stage: Stage, account: WecomAccount, staff: Person, customer: Person, state: str, *, half: bool = False
) -> Delivery:
    """Staff and customer become contacts; the event carries a welcome code unless they already were."""
    known = stage.wecom(account.key)
    contact = known.contact(staff.id, customer.id)
    fields: dict[str, Any] = {"State": state} if state else {}
    if contact is None:
        contact = Contact(staff.id, customer.id, int(stage.clock.wire()), state, 1 if state else 3, customer.name)
        known.contacts.append(contact)
        code = new_welcome_code(known.welcome_codes, staff.id, customer.id, stage.clock.world())
        fields["WelcomeCode"] = code
    where = (account.channel, account.account)
    stage.screens.show(customer.id, where, "system", "notice", f"你已添加了{staff.name}，现在可以开始聊天了")
    stage.screens.show(staff.id, where, "system", "notice", f"你已添加了客户{customer.name}")
    change = "add_half_external_contact" if half else "add_external_contact"
    return await send_contact_event(stage, account, contact, change, fields)


def _head(stage: Stage, account: WecomAccount, sender: str, kind: str) -> dict[str, Any]:
    at = int(stage.clock.wire())
    return {"ToUserName": account.corp_id, "FromUserName": sender, "CreateTime": at, "MsgType": kind}


async def _send(
    stage: Stage, account: WecomAccount, person: Person, content: dict[str, Any], message_id: str, pressed: Line | None
) -> Delivery:
    callback = Callback(
        account=account,
        person=person.id,
        message_id=message_id,
        seal=lambda: seal_wecom(account, content, stage.clock.wire()),
        open=lambda body: open_wecom_reply(account, body),
        url=account.callback_url,
    )
    delivery = await deliver(stage, callback)
    if delivery.reply is not None:
        _show_reply(stage, account, person, delivery.reply, pressed)
    return delivery


def _show_reply(
    stage: Stage, account: WecomAccount, person: Person, reply: dict[str, Any], pressed: Line | None
) -> None:
    kind = str(reply.get("MsgType", ""))
    if kind in ("update_button", "update_template_card"):
        if pressed is not None:
            _change_card(stage, person, reply, pressed)
        return
    text, buttons = reply_text(stage, kind, reply)
    data = {"reply": reply, **media_url(stage, reply.get(kind.capitalize(), {}))}
    stage.screens.show(
        person.id, (account.channel, account.account), "account", kind or "text", text, buttons=buttons, data=data
    )


def _change_card(stage: Stage, person: Person, reply: dict[str, Any], line: Line) -> None:
    button = reply.get("Button")
    if isinstance(button, dict):
        line.text = f"{line.text}\n〔{button.get('ReplaceName', '')}〕"
        line.buttons = [button for button in line.buttons if button.kind != "callback"]
    else:
        card = _snake_card(reply.get("TemplateCard") or {})
        shown = template_card(card)
        line.text, line.buttons, line.data = (shown.text, shown.buttons, {**line.data, "message": card})
    line.state = "done"
    stage.screens.changed(person.id, line)


LISTS = frozenset({"button_list", "horizontal_content_list", "jump_list", "action_list", "option_list", "select_list"})
NUMBERS = frozenset({"type", "style", "desc_color", "quote_area_type", "mode"})


def _snake_card(value: Any, name: str = "") -> Any:
    """The reply's `CardType` names as the API's `card_type`, with single list entries as lists again."""
    if isinstance(value, dict):
        named = {_snake(key): _snake_card(item, _snake(key)) for key, item in value.items()}
        return [named] if name in LISTS else named
    if isinstance(value, list):
        return [_snake_card(item) for item in value]
    return int(value) if name in NUMBERS and str(value).isdigit() else value


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() and i else letter.lower() for i, letter in enumerate(name))
