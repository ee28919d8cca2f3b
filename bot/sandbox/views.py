"""What the control API shows of people and their channels."""

from typing import Any

from bot.sandbox.config import Account, TelegramAccount, WechatAccount, WecomAccount
from bot.sandbox.people import external_userid, openid, telegram_id, unionid
from bot.sandbox.screens import line_json
from bot.sandbox.stage import Stage
from bot.sandbox.telegram_door import username
from bot.sandbox.telegram_state import Chat
from bot.sandbox.wechat_menu import visible_menu
from bot.sandbox.wechat_windows import current_window
from bot.sandbox.wecom_group import waiting_for
from bot.sandbox.world import Person


def person_view(stage: Stage, person: Person) -> dict[str, Any]:
    """A person with the identity that each platform knows."""
    corp = next(iter(stage.config.wecom), None)
    external = external_userid(corp.corp_id, person.id) if corp and person.kind == "member" else ""
    return {
        "id": person.id,
        "name": person.name,
        "kind": person.kind,
        "phone": person.phone,
        "language": person.language,
        "wechat": {
            "unionid": unionid(person.id),
            "openids": {account.app_id: openid(account.app_id, person.id) for account in stage.config.wechat},
        },
        "wecom": {"external_userid": external, "userid": person.wecom_userid},
        "telegram": {"id": telegram_id(person.id), "username": username(person)},
        "flags": vars(person.flags),
    }


def screen_view(stage: Stage, person: Person, since: int) -> dict[str, Any]:
    """Everything the person sees: per channel what is open to them, and the lines after `since`."""
    channels: dict[str, dict[str, Any]] = {}
    for account in stage.config.accounts():
        channels.setdefault(account.channel, {})[account.account] = _channel_view(stage, account, person)
    lines = [line_json(line) for line in stage.screens.since(person.id, since)]
    return {"person": person.id, "next": stage.screens.rev, "channels": channels, "lines": lines}


def _channel_view(stage: Stage, account: Account, person: Person) -> dict[str, Any]:
    if isinstance(account, WechatAccount):
        return _wechat_view(stage, account, person)
    if isinstance(account, WecomAccount):
        return _wecom_view(stage, account, person)
    if isinstance(account, TelegramAccount):
        return _telegram_view(stage, account, person)
    return {"name": account.name}


def _wechat_view(stage: Stage, account: WechatAccount, person: Person) -> dict[str, Any]:
    state, now = stage.wechat(account.key), stage.clock.world()
    window = current_window(state, person.id, now)
    shown = None
    if window is not None:
        left = int(window.expires_at - now)
        shown = {"kind": window.kind, "remaining": window.remaining, "expires_in_s": left}
    view: dict[str, Any] = {"name": account.name, "window": shown, "grants": state.grants.get(person.id, {})}
    if account.channel == "wechat_oa":
        following = person.id in state.follows
        view |= {"following": following, "menu": visible_menu(state, person.id)[0] if following else []}
    return view


def _wecom_view(stage: Stage, account: WecomAccount, person: Person) -> dict[str, Any]:
    state = stage.wecom(account.key)
    view: dict[str, Any] = {"name": account.name, "menu": state.menu if person.wecom_userid else []}
    others = [
        c.customer if c.staff == person.id else c.staff for c in state.contacts if person.id in (c.staff, c.customer)
    ]
    view["contacts"] = [{"person": other, "name": stage.world.people[other].name} for other in others]
    view["waiting"] = [{"msgid": task.msgid, "text": task.text} for task in waiting_for(state, person.id)]
    return view


def _telegram_view(stage: Stage, account: TelegramAccount, person: Person) -> dict[str, Any]:
    state = stage.telegram(account.key)
    chat = state.chats.get(person.id) or Chat()
    view: dict[str, Any] = {
        "name": account.name,
        "username": account.username,
        "commands": state.commands_for(person.language),
    }
    return {**view, "started": chat.started, "blocked": chat.blocked}


def account_view(account: Account) -> dict[str, Any]:
    """An account without its secrets."""
    view: dict[str, Any] = {"account": account.account, "name": account.name}
    if isinstance(account, WechatAccount):
        view |= {"app_id": account.app_id, "mode": account.mode, "body": account.body}
    elif isinstance(account, WecomAccount):
        view |= {"corp_id": account.corp_id, "agent_id": account.agent_id}
    elif isinstance(account, TelegramAccount):
        view["username"] = account.username
    return view


def state_view(stage: Stage) -> dict[str, Any]:
    """The world at a glance."""
    accounts: dict[str, list[dict[str, Any]]] = {}
    for account in stage.config.accounts():
        accounts.setdefault(account.channel, []).append(account_view(account))
    return {
        "now": stage.clock.world(),
        "offset_s": stage.clock.offset_s,
        "accounts": accounts,
        "templates": [vars(template) for template in stage.world.templates.values()],
        "faults": [vars(fault) for fault in stage.world.faults.values()],
        "quotas": stage.quotas.report(),
        "pending": stage.in_flight + sum(len(state.pending) for state in stage.world.telegram.values()),
    }
