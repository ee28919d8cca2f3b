"""What a person does in a Telegram chat."""

from typing import Any
from urllib.parse import quote

from bot.sandbox.act import Act, BadAct, Done, Verb
from bot.sandbox.people import telegram_id
from bot.sandbox.telegram_inbound import change_membership, init_data, press, say
from bot.sandbox.telegram_state import Chat


def _chat(act: Act) -> Chat:
    return act.stage.telegram(act.telegram.key).chats.setdefault(act.person.id, Chat())


def _open_chat(act: Act) -> Chat:
    chat = _chat(act)
    if not chat.started:
        raise BadAct("this person has not pressed start")
    if chat.blocked:
        raise BadAct("this person has blocked the bot")
    return chat


async def start(act: Act) -> Done:
    """Press start, with a deep link's payload; somebody who had blocked the bot unblocks it first."""
    chat = _chat(act)
    if chat.blocked:
        await change_membership(act.stage, act.telegram, act.person, blocked=False)
    chat.started = True
    act.stage.events.publish("world", {"what": "channels", "person": act.person.id})
    payload = act.text("payload", "")
    text = f"/start {payload}" if payload else "/start"
    return Done(await say(act.stage, act.telegram, act.person, {"text": text}))


async def say_text(act: Act) -> Done:
    """A text."""
    _open_chat(act)
    return Done(await say(act.stage, act.telegram, act.person, {"text": act.text("text")}))


async def tap(act: Act) -> Done:
    """An inline button, or one of the reply keyboard."""
    line, button = act.pressed()
    if button.kind == "callback":
        _open_chat(act)
        return Done(await press(act.stage, act.telegram, act.person, line, button.value))
    if button.kind == "contact":
        return await share_contact(act)
    if button.kind == "command":
        return Done(await say(act.stage, act.telegram, act.person, {"text": button.value}))
    if button.kind == "web_app":
        fragment = f"tgWebAppData={quote(init_data(act.stage, act.telegram, act.person), safe='')}&tgWebAppVersion=8.0"
        return Done(data={"open": f"{button.value}#{fragment}", "kind": "web_app"})
    return Done(data={"open": button.value, "kind": button.kind})


async def share_contact(act: Act) -> Done:
    """Share a phone number: one's own, or somebody else's card."""
    _open_chat(act)
    owner = act.other("of") if act.body.get("of") else act.person
    if not owner.phone:
        raise BadAct("that person has no phone")
    contact: dict[str, Any] = {"phone_number": owner.phone.removeprefix("+"), "first_name": owner.name}
    contact["user_id"] = telegram_id(owner.id)
    return Done(await say(act.stage, act.telegram, act.person, {"contact": contact}))


async def block(act: Act) -> Done:
    """Block the bot."""
    _open_chat(act)
    return Done(await change_membership(act.stage, act.telegram, act.person, blocked=True))


async def unblock(act: Act) -> Done:
    """Unblock the bot."""
    if not _chat(act).blocked:
        raise BadAct("this person has not blocked the bot")
    return Done(await change_membership(act.stage, act.telegram, act.person, blocked=False))


async def make_init_data(act: Act) -> Done:
    """Open the Mini App."""
    start_param = act.text("start_param", "")
    return Done(data={"init_data": init_data(act.stage, act.telegram, act.person, start_param)})


VERBS: dict[str, Verb] = {
    "start": start,
    "say": say_text,
    "tap": tap,
    "share_contact": share_contact,
    "block": block,
    "unblock": unblock,
    "init_data": make_init_data,
}
