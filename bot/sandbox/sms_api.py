"""The SMS provider: one endpoint, and the text appears on the phone."""

from typing import Any

from aiohttp import web

from bot.sandbox.config import SmsAccount
from bot.sandbox.doors import Door, Incoming, Reply, attend
from bot.sandbox.people import normal_phone
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.stage import Stage

PREFIX = "/platform/sms"
CODES = {401: "unauthorized", 400: "bad_request", 404: "unknown_template", 422: "bad_phone", 429: "too_many"}
MINUTE_S = 60
KEYS_KEPT = 1000


def add_sms(app: web.Application, stage: Stage) -> None:
    """Mount the endpoint."""
    too_many = PlatformError(429, "quota used up")
    door = Door("sms", lambda incoming: _send(stage, incoming), _refuse, too_many, lambda _: PlatformError(401, "key"))

    async def call(request: web.Request) -> web.StreamResponse:
        return await attend(stage, door, "/send", request)

    app.router.add_post(PREFIX + "/send", call)


def _refuse(error: PlatformError) -> Reply:
    status = error.code if 400 <= error.code <= 599 else 400
    return Reply({"code": CODES.get(error.code, str(error.code)), "message": error.message}, status=status)


def _send(stage: Stage, incoming: Incoming) -> Reply:
    account = _account(stage, incoming)
    phone, template, params = _fields(incoming)
    text = _signed(incoming.json(), _text(account, template, params))
    repeated = stage.world.sms_by_key.get(incoming.idempotency_key)
    if repeated is not None:
        return Reply({"message_id": f"sms{repeated}"})
    if not stage.quotas.rate(f"sms {phone}", MINUTE_S, account.per_phone_per_minute):
        raise PlatformError(429, "too many messages to this phone")
    number = stage.world.next("sms message")
    if incoming.idempotency_key:
        stage.world.sms_by_key[incoming.idempotency_key] = number
        for old in list(stage.world.sms_by_key)[:-KEYS_KEPT]:
            del stage.world.sms_by_key[old]
    if person := stage.people.by_phone(phone):
        incoming.person = person.id
        data = {"template": template, "params": params}
        stage.screens.show(person.id, ("sms", account.account), "account", "sms", text, data=data)
    return Reply({"message_id": f"sms{number}"})


def _account(stage: Stage, incoming: Incoming) -> SmsAccount:
    for account in stage.config.sms:
        if incoming.authorization == f"Bearer {account.api_key}":
            incoming.channel, incoming.account = account.channel, account.account
            return account
    raise PlatformError(401, "unknown key")


def _fields(incoming: Incoming) -> tuple[str, str, dict[str, Any]]:
    try:
        body = incoming.json()
    except ValueError:
        raise PlatformError(400, "not JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("params", {}), dict):
        raise PlatformError(400, "phone, template and params are needed")
    phone = normal_phone(str(body.get("phone", "")))
    if not 8 <= len(phone.lstrip("+")) <= 15:
        raise PlatformError(422, "not a phone number")
    template = str(body.get("template") or "")
    if not template:
        raise PlatformError(400, "template is needed")
    return phone, template, body.get("params", {})


def _signed(body: dict[str, Any], text: str) -> str:
    """The sender's registered name (签名) stands before every text."""
    signature = str(body.get("signature") or "")
    return f"【{signature}】{text}" if signature and not text.startswith("【") else text


def _text(account: SmsAccount, template: str, params: dict[str, Any]) -> str:
    if not account.templates:
        return f"[{template}] " + " ".join(f"{key}={value}" for key, value in params.items())
    if template not in account.templates:
        raise PlatformError(404, "no such template")
    try:
        return account.templates[template].format_map(params)
    except (KeyError, ValueError, IndexError, AttributeError):
        raise PlatformError(400, "params do not fit the template") from None
