"""企业群发: a message to many customers that is only sent when each staff member confirms it."""

from typing import Any

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.screens import links_as_buttons
from bot.sandbox.stage import Stage
from bot.sandbox.wecom_contacts import message_text
from bot.sandbox.wecom_door import Api, WecomCall, ok, strings
from bot.sandbox.wecom_state import GroupMessage, WecomState
from bot.sandbox.world import opaque

UNSENT, SENT, NOT_A_FRIEND, CUSTOMER_LIMIT = 0, 1, 2, 3
REMINDERS_PER_DAY = 3
DAY_S = 86_400


def add(call: WecomCall) -> dict[str, Any]:
    """Create the task: staff see it waiting, customers see nothing yet."""
    if call.body.get("chat_type", "single") != "single":
        raise PlatformError(40058, "only chat_type single is played here")
    text, attachments = message_text(call.body)
    wanted, failed = _wanted(call)
    sender = call.body.get("sender")
    only = call.staff(sender).id if sender else None
    targets: dict[str, list[str]] = {}
    for contact in call.state.contacts:
        chosen = wanted is None or contact.customer in wanted
        if chosen and only in (None, contact.staff) and not _reached(targets, contact.customer):
            targets.setdefault(contact.staff, []).append(contact.customer)
    if not targets:
        raise PlatformError(41048, "no external user to send")
    msgid = opaque(40, "msg")
    task = GroupMessage(msgid, text, int(call.stage.clock.wire()), attachments, targets)
    task.results = {f"{staff}/{customer}": UNSENT for staff, those in targets.items() for customer in those}
    call.state.group_messages[msgid] = task
    for staff in targets:
        call.stage.events.publish("world", {"what": "channels", "person": staff})
    return ok(fail_list=failed, msgid=msgid)


def _wanted(call: WecomCall) -> tuple[set[str] | None, list[str]]:
    externals = strings(call.body.get("external_userid"))
    if len(externals) > 10_000:
        raise PlatformError(40058, "invalid Request Parameter")
    if not externals:
        return None, []
    find = call.stage.people.by_external_userid
    found = {value: find(call.account.corp_id, value) for value in externals}
    customers = {contact.customer for contact in call.state.contacts}
    good = {value: person.id for value, person in found.items() if person and person.id in customers}
    return set(good.values()), [value for value in externals if value not in good]


def _reached(targets: dict[str, list[str]], customer: str) -> bool:
    return any(customer in those for those in targets.values())


def waiting_for(state: WecomState, staff: str) -> list[GroupMessage]:
    """Tasks that wait for this staff member's confirmation."""
    tasks = state.group_messages.values()
    return [task for task in tasks if staff in task.targets and staff not in task.confirmed and not task.cancelled]


def confirm(stage: Stage, where: tuple[str, str], state: WecomState, task: GroupMessage, staff: str) -> int:
    """The staff member sends the task; how many customers got it. Those lost or served today already do not."""
    today = int(stage.clock.world() // DAY_S)
    task.confirmed[staff] = int(stage.clock.wire())
    sent = 0
    for customer in task.targets[staff]:
        key = f"{staff}/{customer}"
        if state.contact(staff, customer) is None:
            task.results[key] = NOT_A_FRIEND
        elif not stage.quotas.rate(f"groupmsg {where[1]} {customer} {today}", DAY_S, 1):
            task.results[key] = CUSTOMER_LIMIT
        else:
            task.results[key] = SENT
            sent += 1
            shown, buttons = links_as_buttons(task.text)
            data = {"staff": staff, "attachments": task.attachments, "msgid": task.msgid}
            stage.screens.show(customer, where, "account", "groupmsg", shown, buttons=buttons, data=data)
    return sent


def _task(call: WecomCall) -> GroupMessage:
    task = call.state.group_messages.get(str(call.body.get("msgid", "")))
    if task is None:
        raise PlatformError(40104, "invalid msgid")
    return task


def list_tasks(call: WecomCall) -> dict[str, Any]:
    """Tasks of a period."""
    start, end = (int(call.body.get("start_time") or 0), int(call.body.get("end_time") or 2**40))
    found = [task for task in call.state.group_messages.values() if start <= task.created_at <= end]
    listed = [
        {"msgid": t.msgid, "create_time": str(t.created_at), "create_type": 0, "text": {"content": t.text}}
        for t in found
    ]
    return ok(group_msg_list=listed, next_cursor="")


def task_state(call: WecomCall) -> dict[str, Any]:
    """Which staff members have confirmed: status 0 not yet, 2 sent."""
    task = _task(call)
    listed = []
    for staff in task.targets:
        entry: dict[str, Any] = {"userid": call.stage.world.people[staff].wecom_userid, "status": 0}
        if staff in task.confirmed:
            entry |= {"status": 2, "send_time": task.confirmed[staff]}
        listed.append(entry)
    return ok(task_list=listed, next_cursor="")


def results(call: WecomCall) -> dict[str, Any]:
    """What became of it per customer of one staff member."""
    task, staff = _task(call), call.staff(call.body.get("userid"))
    listed = []
    for customer in task.targets.get(staff.id, []):
        status = task.results[f"{staff.id}/{customer}"]
        entry: dict[str, Any] = {"external_userid": call.external_userid(customer), "userid": staff.wecom_userid}
        entry["status"] = status
        if status == SENT:
            entry["send_time"] = task.confirmed[staff.id]
        listed.append(entry)
    return ok(send_list=listed, next_cursor="")


def remind(call: WecomCall) -> dict[str, Any]:
    """Nudge staff, at most three times a day."""
    task = _task(call)
    task.reminders = [at for at in task.reminders if at > call.now - DAY_S]
    if len(task.reminders) >= REMINDERS_PER_DAY:
        raise PlatformError(45009, "api freq out of limit")
    task.reminders.append(call.now)
    for staff in task.targets:
        if staff not in task.confirmed:
            call.stage.screens.show(staff, call.where, "system", "notice", "请尽快发送企业群发消息")
    return ok()


def cancel(call: WecomCall) -> dict[str, Any]:
    """Stop what is not confirmed yet."""
    _task(call).cancelled = True
    return ok()


PREFIX = "/cgi-bin/externalcontact/"
APIS: dict[str, Api] = {
    PREFIX + "add_msg_template": Api("POST", add),
    PREFIX + "get_groupmsg_list_v2": Api("POST", list_tasks),
    PREFIX + "get_groupmsg_task": Api("POST", task_state),
    PREFIX + "get_groupmsg_send_result": Api("POST", results),
    PREFIX + "remind_groupmsg_send": Api("POST", remind),
    PREFIX + "cancel_groupmsg_send": Api("POST", cancel),
}
