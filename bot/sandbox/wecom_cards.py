"""Messages to staff: how each type reads, what can be pressed, and what the platform refuses."""

import re
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.screens import links_as_buttons
from bot.sandbox.stage import Stage
from bot.sandbox.world import Button

TEXT_BYTES = 2048
TASK_ID = re.compile(r"[0-9A-Za-z_\-@]{1,128}")
CARD_TYPES = frozenset(["text_notice", "news_notice", "button_interaction", "vote_interaction", "multiple_interaction"])
INTERACTIVE = CARD_TYPES - {"text_notice", "news_notice"}
MEDIA_TYPES = frozenset(["image", "voice", "video", "file"])


@dataclass
class Shown:
    """A message on a screen."""

    text: str
    buttons: list[Button] = field(default_factory=list)


def show_message(stage: Stage, kind: str, payload: dict[str, Any]) -> Shown:
    """How the message reads. Raises PlatformError for what the platform refuses."""
    if kind in ("text", "markdown", "markdown_v2"):
        content = str(payload.get("content", ""))
        if not content:
            raise PlatformError(44004, "empty content")
        if len(content.encode()) > TEXT_BYTES:
            raise PlatformError(45002, "content size out of limit")
        return Shown(*links_as_buttons(content)) if kind == "text" else Shown(content)
    if kind == "textcard":
        return _text_card(payload)
    if kind == "news":
        return _news(payload)
    if kind == "template_card":
        return template_card(payload)
    if kind in MEDIA_TYPES:
        if str(payload.get("media_id")) not in stage.world.media:
            raise PlatformError(40007, "invalid media_id")
        return Shown(f"[{kind}]")
    if kind == "miniprogram_notice":
        title = str(payload.get("title", ""))
        items = [f"{item.get('key')}：{item.get('value')}" for item in payload.get("content_item") or []]
        return Shown("\n".join([title, *items]), [Button("0", title, "miniprogram", str(payload.get("page", "")))])
    raise PlatformError(40008, "invalid message type")


def _text_card(payload: dict[str, Any]) -> Shown:
    title, description = (str(payload.get("title", "")), str(payload.get("description", "")))
    if not title or not description or not payload.get("url"):
        raise PlatformError(41016, "missing title, description or url")
    if len(title) > 128 or len(description) > 512:
        raise PlatformError(45002, "content size out of limit")
    plain = re.sub(r"<br\s*/?>|</div>", "\n", description)
    plain = re.sub(r"<[^>]+>", "", plain).strip()
    return Shown(f"{title}\n{plain}", [Button("0", str(payload.get("btntxt") or "详情"), "url", str(payload["url"]))])


def _news(payload: dict[str, Any]) -> Shown:
    articles = payload.get("articles")
    if not isinstance(articles, list) or not 1 <= len(articles) <= 8:
        raise PlatformError(45008, "article size out of limit")
    buttons = [Button(str(i), str(a.get("title", "")), "url", str(a.get("url", "")), i) for i, a in enumerate(articles)]
    return Shown("\n".join(f"{a.get('title', '')}\n{a.get('description', '')}".strip() for a in articles), buttons)


def template_card(card: dict[str, Any]) -> Shown:
    """A template card as text and buttons. Raises PlatformError 42014 to 42020 or 90207."""
    kind = card.get("card_type")
    if kind not in CARD_TYPES:
        raise PlatformError(42014, "invalid card_type")
    if (kind in INTERACTIVE or card.get("action_menu")) and not TASK_ID.fullmatch(str(card.get("task_id") or "")):
        raise PlatformError(42017, "invalid task_id")
    title = card.get("main_title") or {}
    if not title.get("title") and not card.get("sub_title_text"):
        raise PlatformError(42018, "missing main_title")
    rows = card.get("horizontal_content_list") or []
    if len(rows) > 6 or len(card.get("jump_list") or []) > 3:
        raise PlatformError(45002, "content size out of limit")
    texts = [str(title.get("title") or ""), str(title.get("desc") or ""), str(card.get("sub_title_text") or "")]
    texts += [f"{row.get('keyname', '')}：{row.get('value', '')}" for row in rows]
    texts += _choices(card)
    return Shown("\n".join(text for text in texts if text), _card_buttons(str(kind), card))


def _choices(card: dict[str, Any]) -> list[str]:
    questions = [card.get("button_selection"), card.get("checkbox"), *(card.get("select_list") or [])]
    found = []
    for question in questions:
        if question:
            options = " / ".join(str(option.get("text", "")) for option in question.get("option_list") or [])
            found.append(f"{question.get('title') or '请选择'}：{options}")
    return found


def _card_buttons(kind: str, card: dict[str, Any]) -> list[Button]:
    wanted: list[tuple[str, str, str]] = []
    if kind == "button_interaction":
        listed = card.get("button_list") or []
        if not 1 <= len(listed) <= 6:
            raise PlatformError(42019, "invalid button_list")
        for button in listed:
            to_url = button.get("type") == 1
            value = str(button.get("url" if to_url else "key") or "")
            if not value or len(value) > 1024:
                raise PlatformError(42020, "invalid button key")
            wanted.append((str(button.get("text", "")), "url" if to_url else "callback", value))
    elif kind in INTERACTIVE:
        submit = card.get("submit_button") or {}
        if not submit.get("key"):
            raise PlatformError(42020, "invalid button key")
        wanted.append((str(submit.get("text") or "提交"), "callback", str(submit["key"])))
    elif not card.get("card_action"):
        raise PlatformError(90207, "card_action is missing")
    menu = (card.get("action_menu") or {}).get("action_list") or []
    wanted += [(str(action.get("text", "")), "callback", str(action.get("key", ""))) for action in menu]
    wanted += [_jump(str(jump.get("title", "")), jump) for jump in card.get("jump_list") or []]
    if action := card.get("card_action"):
        wanted.append(_jump("查看", action))
    return [Button(str(i), text, what, value, i) for i, (text, what, value) in enumerate(wanted)]


def _jump(text: str, action: dict[str, Any]) -> tuple[str, str, str]:
    if action.get("type") == 2:
        return text, "miniprogram", str(action.get("pagepath") or "")
    return text, "url", str(action.get("url") or "")
