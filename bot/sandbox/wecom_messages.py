"""Messages that the app sends to staff: sending, recalling, changing a card."""

import hashlib
import json
from typing import Any

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.wechat_inbound import media_url
from bot.sandbox.wecom_cards import INTERACTIVE, show_message, template_card
from bot.sandbox.wecom_door import Api, WecomCall, ok, strings
from bot.sandbox.wecom_state import AppMessage, ResponseCode, WecomState
from bot.sandbox.world import Person, opaque

PER_PERSON_PER_MINUTE = 30
PER_PERSON_PER_HOUR = 1000
PER_DAY_PER_ACCOUNT = 200
RESPONSE_CODE_LIFETIME_S = 72 * 3600
RECALL_WITHIN_S = 24 * 3600
DUPLICATE_CHECK_S = 1800
DUPLICATE_CHECK_LONGEST_S = 4 * 3600
MESSAGES_KEPT = 500


def send(call: WecomCall) -> dict[str, Any]:
    """A message to staff. Too many to one person are dropped silently, as the platform does."""
    _check_agent(call)
    kind = str(call.body.get("msgtype", ""))
    payload = call.body.get(kind)
    if not isinstance(payload, dict):
        raise PlatformError(40008 if not payload and kind == "" else 44004, "empty content")
    shown = show_message(call.stage, kind, payload)
    people, invalid = _recipients(call)
    if not people:
        raise PlatformError(81013, "user & party & tag all invalid")
    if _sent_already(call, kind, payload):
        return ok(msgid=opaque(60), invaliduser="|".join(invalid))
    _spend_day(call, len(people))
    msgid = opaque(60)
    data = {"message": payload, "msgid": msgid, **media_url(call.stage, payload)}
    lines: dict[str, int] = {}
    for person in people:
        if _within_rate(call, person):
            line = call.stage.screens.show(
                person.id, call.where, "account", kind, shown.text, buttons=shown.buttons, data=data
            )
            lines[person.id] = line.id
    _remember(call.state, AppMessage(msgid, call.now, lines, payload))
    answer = ok(msgid=msgid, invaliduser="|".join(invalid), invalidparty="", invalidtag="", unlicenseduser="")
    if kind == "template_card" and payload.get("card_type") in INTERACTIVE:
        answer["response_code"] = new_response_code(call.state, msgid, call.now)
    return answer


def _check_agent(call: WecomCall) -> None:
    if str(call.body.get("agentid")) != str(call.account.agent_id):
        raise PlatformError(40056, "invalid agentid")


def _recipients(call: WecomCall) -> tuple[list[Person], list[str]]:
    wanted = str(call.body.get("touser") or "")
    if not wanted and not call.body.get("toparty") and not call.body.get("totag"):
        raise PlatformError(40063, "some parameters are empty")
    if wanted == "@all":
        return call.stage.people.staff(), []
    userids = [userid for userid in wanted.split("|") if userid]
    if len(userids) > 1000:
        raise PlatformError(40031, "invalid userid list")
    found = {userid.lower(): call.stage.people.by_wecom_userid(userid) for userid in userids}
    return [person for person in found.values() if person], [userid for userid, person in found.items() if not person]


def _sent_already(call: WecomCall, kind: str, payload: dict[str, Any]) -> bool:
    if call.body.get("enable_duplicate_check") != 1:
        return False
    seconds = min(int(call.body.get("duplicate_check_interval") or DUPLICATE_CHECK_S), DUPLICATE_CHECK_LONGEST_S)
    content = json.dumps([call.body.get("touser"), kind, payload], sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    checks = call.state.duplicate_checks
    for old in [key for key, until in checks.items() if until <= call.now]:
        del checks[old]
    if digest in checks:
        return True
    checks[digest] = call.now + seconds
    return False


def _spend_day(call: WecomCall, people: int) -> None:
    limit = PER_DAY_PER_ACCOUNT * max(1, len(call.stage.people.staff()))
    if not all(call.stage.quotas.rate(f"sends {call.account.key}", 86_400, limit) for _ in range(people)):
        raise PlatformError(45009, "api freq out of limit")


def _within_rate(call: WecomCall, person: Person) -> bool:
    key = f"{call.account.key} to {person.id}"
    hour = call.stage.quotas.rate(key + " hour", 3600, PER_PERSON_PER_HOUR)
    return call.stage.quotas.rate(key + " minute", 60, PER_PERSON_PER_MINUTE) and hour


def _remember(state: WecomState, message: AppMessage) -> None:
    state.messages[message.msgid] = message
    for old in list(state.messages)[:-MESSAGES_KEPT]:
        del state.messages[old]


def new_response_code(state: WecomState, msgid: str, now: float) -> str:
    """The right to change that message's card once."""
    code = ResponseCode(opaque(60), msgid, now + RESPONSE_CODE_LIFETIME_S)
    for old in [value for value, known in state.response_codes.items() if known.expires_at <= now]:
        del state.response_codes[old]
    state.response_codes[code.value] = code
    return code.value


def recall(call: WecomCall) -> dict[str, Any]:
    """Take a message back within a day."""
    message = call.state.messages.get(str(call.body.get("msgid", "")))
    if message is None or call.now - message.at > RECALL_WITHIN_S:
        raise PlatformError(40104, "invalid msgid")
    for person, line_id in message.lines.items():
        if line := call.stage.screens.find(person, line_id):
            line.state, line.text, line.buttons = "recalled", "（消息已撤回）", []
            call.stage.screens.changed(person, line)
    return ok()


def update_card(call: WecomCall) -> dict[str, Any]:
    """Change a card for some or all who have it; the code works once."""
    _check_agent(call)
    code = call.state.response_codes.get(str(call.body.get("response_code", "")))
    if code is None or code.used or code.expires_at <= call.now:
        raise PlatformError(42015, "invalid response_code")
    change = {key: call.body[key] for key in ("button", "template_card") if call.body.get(key)}
    if not change:
        raise PlatformError(40063, "some parameters are empty")
    message = call.state.messages[code.msgid]
    people = list(message.lines) if call.body.get("atall") == 1 else _named(call, message)
    if not people:
        raise PlatformError(81013, "user & party & tag all invalid")
    apply_card_change(call, message, people, change)
    code.used = True
    return ok(invaliduser=[])


def _named(call: WecomCall, message: AppMessage) -> list[str]:
    people = [call.stage.people.by_wecom_userid(userid) for userid in strings(call.body.get("userids"))]
    return [person.id for person in people if person and person.id in message.lines]


def apply_card_change(call: WecomCall, message: AppMessage, people: list[str], change: dict[str, Any]) -> None:
    """Put the change on the screens. Raises PlatformError when the card cannot be changed so."""
    if "button" in change and message.payload.get("card_type") not in INTERACTIVE:
        raise PlatformError(42016, "the card has no button to replace")
    shown = template_card(change["template_card"]) if "template_card" in change else None
    for person in people:
        line = call.stage.screens.find(person, message.lines[person])
        if line is None:
            continue
        if shown is not None:
            line.text, line.buttons = shown.text, shown.buttons
            line.data = {**line.data, "message": change["template_card"]}
        else:
            label = str(change["button"].get("replace_name", ""))
            line.buttons = [button for button in line.buttons if button.kind != "callback"]
            line.text = f"{line.text}\n〔{label}〕"
        line.state = "done"
        call.stage.screens.changed(person, line)


APIS: dict[str, Api] = {
    "/cgi-bin/message/send": Api("POST", send),
    "/cgi-bin/message/recall": Api("POST", recall),
    "/cgi-bin/message/update_template_card": Api("POST", update_card),
}
