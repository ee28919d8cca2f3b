"""Updates from Telegram to the bot's webhook, in order per chat, retried until the bot takes them."""

import asyncio
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

from bot.sandbox.config import TelegramAccount
from bot.sandbox.deliver import Callback, Delivery, deliver, json_object
from bot.sandbox.doors import Incoming
from bot.sandbox.envelopes import Sealed
from bot.sandbox.people import telegram_id
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.stage import Stage
from bot.sandbox.telegram_account import METHODS as ACCOUNT_METHODS
from bot.sandbox.telegram_door import bot_object, call_method, chat_object, refuse, user_object
from bot.sandbox.telegram_methods import METHODS as MESSAGE_METHODS
from bot.sandbox.telegram_methods import remember
from bot.sandbox.telegram_state import Chat, Message, Pending, Query
from bot.sandbox.wire import Entry, Half, printable
from bot.sandbox.world import Line, Person, opaque

METHODS = {**ACCOUNT_METHODS, **MESSAGE_METHODS}
FIRST_UPDATE_ID = 700_000_001
QUERY_LIFETIME_S = 30
PENDING_KEPT = 500
RETRY_PENDING_S = 5
ASKED_FOR_ONLY = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


async def say(stage: Stage, account: TelegramAccount, person: Person, content: dict[str, Any]) -> Delivery:
    """A message from the person; `content` is text, contact … as in Telegram's Message."""
    state = stage.telegram(account.key)
    line = stage.screens.show(
        person.id, (account.channel, account.account), "person", _kind(content), _words(content), data=content
    )
    at = int(stage.clock.wire())
    payload = {"from": user_object(person), "chat": chat_object(person), "date": at, **content}
    text = str(content.get("text", ""))
    if text.startswith("/"):
        payload["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}]
    message = remember(stage, state, account.key, Message(person.id, line.id, False, payload))
    return await send_update(stage, account, person, "message", message)


def _kind(content: dict[str, Any]) -> str:
    return "contact" if "contact" in content else "text"


def _words(content: dict[str, Any]) -> str:
    if "contact" in content:
        return f"[联系人] {content['contact']['phone_number']}"
    return str(content.get("text", ""))


async def press(stage: Stage, account: TelegramAccount, person: Person, line: Line, data: str) -> Delivery:
    """An inline button: a callback query about the message of that line."""
    state = stage.telegram(account.key)
    message = next((m for m in state.messages.values() if m.line == line.id and m.person == person.id), None)
    number = str(stage.world.next("callback query", 4_400_000_000_000_001))
    for old in [key for key, known in state.queries.items() if known.expires_at < stage.clock.world() - 3600]:
        del state.queries[old]
    state.queries[number] = Query(person.id, stage.clock.world() + QUERY_LIFETIME_S)
    query: dict[str, Any] = {"id": number, "from": user_object(person), "chat_instance": opaque(19), "data": data}
    if message is None:
        inaccessible = {"chat": chat_object(person), "message_id": line.data.get("message_id", 0), "date": 0}
        query["message"] = inaccessible
    else:
        query["message"] = message.payload
    return await send_update(stage, account, person, "callback_query", query)


async def change_membership(stage: Stage, account: TelegramAccount, person: Person, *, blocked: bool) -> Delivery:
    """The person blocks or unblocks the bot."""
    chat = stage.telegram(account.key).chats.setdefault(person.id, Chat())
    chat.blocked = blocked
    stage.events.publish("world", {"what": "channels", "person": person.id})
    bot = bot_object(account)
    statuses = [{"user": bot, "status": "member"}, {"user": bot, "status": "kicked", "until_date": 0}]
    old, new = statuses if blocked else reversed(statuses)
    change = {"chat": chat_object(person), "from": user_object(person), "date": int(stage.clock.wire())}
    change |= {"old_chat_member": old, "new_chat_member": new}
    return await send_update(stage, account, person, "my_chat_member", change)


async def send_update(stage: Stage, account: TelegramAccount, person: Person, kind: str, value: Any) -> Delivery:
    """Queue an update and deliver what is queued. An update that is not asked for is not sent."""
    state = stage.telegram(account.key)
    allowed = state.webhook.allowed_updates
    if kind not in allowed if allowed else kind in ASKED_FOR_ONLY:
        return Delivery("none")
    update = {"update_id": stage.world.next(f"update {account.key}", FIRST_UPDATE_ID), kind: value}
    state.pending.append(Pending(person.id, update))
    del state.pending[:-PENDING_KEPT]
    return await flush(stage, account, person.id)


async def flush(stage: Stage, account: TelegramAccount, person: str) -> Delivery:
    """Deliver one person's waiting updates in order, stopping at one that fails. Returns how the last one went."""
    state = stage.telegram(account.key)
    result = Delivery("none")
    async with stage.locks.setdefault(f"{account.key} {person}", asyncio.Lock()):
        while state.webhook.url:
            waiting = next((item for item in state.pending if item.person == person), None)
            if waiting is None:
                break
            result = await _deliver(stage, account, waiting)
            if result.result == "failed":
                break
            if waiting in state.pending:
                state.pending.remove(waiting)
    return result


async def _deliver(stage: Stage, account: TelegramAccount, waiting: Pending) -> Delivery:
    hook = stage.telegram(account.key).webhook
    text = json.dumps(waiting.update, ensure_ascii=False)
    headers = {"X-Telegram-Bot-Api-Secret-Token": hook.secret} if hook.secret else {}
    callback = Callback(
        account=account,
        person=waiting.person,
        message_id=str(waiting.update["update_id"]),
        seal=lambda: Sealed("", text.encode(), "application/json", text),
        open=json_object,
        headers=headers,
        url=hook.url,
    )
    delivery = await deliver(stage, callback)
    if delivery.result == "failed":
        hook.last_error_date = int(stage.clock.wire())
        hook.last_error_message = f"Wrong response from the webhook: {delivery.statuses[-1]}"
    elif delivery.reply is not None:
        _run_reply(stage, account, delivery.reply)
    return delivery


def _run_reply(stage: Stage, account: TelegramAccount, reply: dict[str, Any]) -> None:
    """A webhook answer may be a method call itself; the bot never learns its result."""
    api = str(reply["method"])
    raw = json.dumps(reply, ensure_ascii=False).encode()
    incoming = Incoming("telegram", api, "REPLY", {}, raw, "application/json", "")
    try:
        done = call_method(stage, account, METHODS, incoming, {k: v for k, v in reply.items() if k != "method"})
    except PlatformError as error:
        done = refuse(error)
        done.verdict = f"errcode {error.code}"
    shown = printable(raw)
    entry = Entry("api", "telegram", account.account, api, "REPLY", "", incoming.person, 0, done.verdict)
    entry.request, entry.response = (Half({}, shown, shown), Half({}, "", printable(done.encoded())))
    stage.wire.record(entry)


async def keep_retrying(stage: Stage) -> None:
    """Deliver what a bot did not take at first, as Telegram does for a day."""
    while True:
        await asyncio.sleep(RETRY_PENDING_S)
        for account in stage.config.telegram:
            for person in dict.fromkeys(waiting.person for waiting in stage.telegram(account.key).pending):
                await flush(stage, account, person)


def init_data(stage: Stage, account: TelegramAccount, person: Person, start_param: str = "") -> str:
    """What a Mini App finds in `Telegram.WebApp.initData`, signed with the bot's token."""
    user = user_object(person)
    user.pop("is_bot")
    fields = {
        "query_id": opaque(24, "AA"),
        "user": json.dumps({**user, "allows_write_to_pm": True}, ensure_ascii=False, separators=(",", ":")),
        "auth_date": str(int(stage.clock.wire())),
        "chat_instance": str(telegram_id(person.id + account.username)),
        "chat_type": "sender",
    }
    if start_param:
        fields["start_param"] = start_param
    lines = "\n".join(f"{key}={value}" for key, value in sorted(fields.items()))
    secret = hmac.new(b"WebAppData", account.bot_token.encode(), hashlib.sha256).digest()
    fields["hash"] = hmac.new(secret, lines.encode(), hashlib.sha256).hexdigest()
    return urlencode(fields)
