"""Bot API methods about the bot itself: who it is, its webhook, commands and files."""

import re
from typing import Any

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.telegram_door import Method, TelegramCall, bot_object, chat_object
from bot.sandbox.telegram_keyboard import secure_or_local
from bot.sandbox.telegram_state import Webhook

SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
ORDINARY_SCOPES = frozenset({"default", "all_private_chats"})
COMMAND = re.compile(r"[a-z0-9_]{1,32}")


def get_me(call: TelegramCall) -> dict[str, Any]:
    """The bot."""
    abilities = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
    return {**bot_object(call.account), **abilities, "can_connect_to_business": False, "has_main_web_app": False}


def set_webhook(call: TelegramCall) -> bool:
    """Where updates go from now on; an empty URL removes it. Plain HTTP is accepted on this machine only."""
    url, secret = call.text("url"), call.text("secret_token")
    if url and not secure_or_local(url):
        raise PlatformError(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
    if secret and not SECRET.fullmatch(secret):
        raise PlatformError(400, "Bad Request: secret token contains unallowed characters")
    connections = call.number("max_connections") or 40
    if not 1 <= connections <= 100:
        raise PlatformError(400, "Bad Request: max_connections must be between 1 and 100")
    allowed = call.value("allowed_updates")
    call.state.webhook = Webhook(url, secret, list(allowed or []), connections)
    _drop_pending(call)
    return True


def delete_webhook(call: TelegramCall) -> bool:
    """Back to no webhook; updates wait."""
    call.state.webhook = Webhook()
    _drop_pending(call)
    return True


def _drop_pending(call: TelegramCall) -> None:
    if str(call.params.get("drop_pending_updates", "")).lower() in ("true", "1"):
        call.state.pending.clear()


def webhook_info(call: TelegramCall) -> dict[str, Any]:
    """State of the webhook, with the last error."""
    hook = call.state.webhook
    info: dict[str, Any] = {"url": hook.url, "has_custom_certificate": False}
    info |= {"pending_update_count": len(call.state.pending), "max_connections": hook.max_connections}
    if hook.last_error_date:
        info |= {"last_error_date": hook.last_error_date, "last_error_message": hook.last_error_message}
    if hook.allowed_updates:
        info["allowed_updates"] = hook.allowed_updates
    return info


def get_updates(call: TelegramCall) -> list[dict[str, Any]]:
    """Waiting updates, only without a webhook; `offset` confirms what came before it."""
    if call.state.webhook.url:
        why = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
        raise PlatformError(409, f"Conflict: {why}")
    offset = call.number("offset")
    call.state.pending = [waiting for waiting in call.state.pending if waiting.update["update_id"] >= offset]
    return [waiting.update for waiting in call.state.pending[: min(call.number("limit") or 100, 100)]]


def set_commands(call: TelegramCall) -> bool:
    """The command menu."""
    commands = call.value("commands")
    if not isinstance(commands, list) or len(commands) > 100:
        raise PlatformError(400, "Bad Request: can't parse commands")
    for command in commands:
        if not COMMAND.fullmatch(str(command.get("command", "")).removeprefix("/")):
            raise PlatformError(400, "Bad Request: BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", ""))) <= 256:
            raise PlatformError(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
    # A scope narrows the list to some chats; every chat here is an ordinary private one.
    if (call.value("scope") or {"type": "default"}).get("type") in ORDINARY_SCOPES:
        call.state.commands[call.text("language_code")] = [
            {"command": c["command"], "description": c["description"]} for c in commands
        ]
        call.stage.events.publish("world", {"what": "channels"})
    return True


def get_commands(call: TelegramCall) -> list[dict[str, str]]:
    """The command menu of exactly that language."""
    return call.state.commands.get(call.text("language_code"), [])


def delete_commands(call: TelegramCall) -> bool:
    """No command menu in that language."""
    call.state.commands.pop(call.text("language_code"), None)
    return True


def get_file(call: TelegramCall) -> dict[str, Any]:
    """Where a file can be downloaded."""
    media = call.stage.world.media.get(call.text("file_id"))
    if media is None:
        raise PlatformError(400, "Bad Request: invalid file_id")
    path = f"{media.kind}s/{media.media_id}"
    return {"file_id": media.media_id, "file_unique_id": media.media_id[:12], "file_path": path}


def get_chat(call: TelegramCall) -> dict[str, Any]:
    """A private chat."""
    person, _ = call.chat()
    return chat_object(person)


def accepted(call: TelegramCall) -> bool:
    """Settings that the phones do not show."""
    return True


METHODS: dict[str, Method] = {
    "getme": get_me,
    "setwebhook": set_webhook,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": webhook_info,
    "getupdates": get_updates,
    "setmycommands": set_commands,
    "getmycommands": get_commands,
    "deletemycommands": delete_commands,
    "getfile": get_file,
    "getchat": get_chat,
    "setchatmenubutton": accepted,
    "setmydescription": accepted,
    "setmyshortdescription": accepted,
}
