"""Neutral replies as WeCom messages: text, markdown, text card, and template cards. Pure."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from bot.wx_text import cut_to_bytes
from handlers.messages import Button, Card, Reply

MAX_TEXT_BYTES: Final = 2048
MAX_WELCOME_BYTES: Final = 4000
MAX_BUTTONS: Final = 6
MAX_ROWS: Final = 6
MAX_LINKS: Final = 9

_TITLE: Final = 26
_SUBTITLE: Final = 112
_ROW_NAME: Final = 5
_ROW_VALUE: Final = 30
_BUTTON_TEXT: Final = 10
_REPLACED_NAME: Final = 18
_CARD_TITLE: Final = 128
_CARD_DESCRIPTION: Final = 512
_OPEN_PAGE: Final = 1
_CALL_BACK: Final = 0
_TASK_ID: Final = re.compile(r"[0-9A-Za-z_\-@]{1,128}", re.ASCII)
_MARKUP: Final = str.maketrans({"[": "［", "]": "］", "<": "＜", ">": "＞", "*": "＊", "`": "｀", "#": "＃"})

Body = Mapping[str, object]
"""A message's `msgtype` and the object of that name, as `message/send` takes them."""


def plain_text(reply: Reply) -> str:
    """`reply` as text within 2048 bytes, for where neither cards nor buttons can be shown."""
    lines = [reply.text] if reply.text else []
    if reply.card is not None:
        lines.append(f"【{reply.card.title}】")
        lines += [f"{row.label}：{row.value}" for row in reply.card.rows]
        lines += [reply.card.body] if reply.card.body else []
    lines += [f"{button.text}：{button.url}" for button in reply.buttons if button.url]
    return cut_to_bytes("\n".join(lines), MAX_TEXT_BYTES)


def fits_passive_text(reply: Reply) -> bool:
    """Whether a passive text says all of `reply`: it has no card and nothing to press."""
    return reply.card is None and not reply.buttons


def app_message(reply: Reply, *, client_message_id: str) -> Body:
    """What `message/send` shows for `reply`, in the richest type that can carry it.

    Something to press → template card with buttons; a card with a page → text notice; words with a page →
    text card; a card alone → markdown; words → text.
    """
    pages = [button for button in reply.buttons if button.url]
    if any(not button.url for button in reply.buttons):
        return _template_card(button_interaction(reply, task_id=task_id_of(reply, client_message_id)))
    if reply.card is not None and pages:
        return _template_card(text_notice(reply.card, lead=reply.text, pages=pages))
    if reply.card is not None:
        return {"msgtype": "markdown", "markdown": {"content": markdown(reply.card, lead=reply.text)}}
    if len(pages) == 1:
        return {"msgtype": "textcard", "textcard": text_card(reply.text, pages[0])}
    return {"msgtype": "text", "text": {"content": plain_text(reply)}}


def card_change(reply: Reply, *, task_id: str) -> Body:
    """What a pressed card becomes: another card where something can still be pressed, else its buttons give way
    to words (the card's title, or the text)."""
    if any(not button.url for button in reply.buttons):
        return {"template_card": button_interaction(reply, task_id=task_id)}
    if reply.card is not None and reply.buttons:
        return {"template_card": text_notice(reply.card, lead=reply.text, pages=list(reply.buttons), task_id=task_id)}
    words = reply.card.title if reply.card is not None else reply.text
    return {"button": {"replace_name": _short(words, _REPLACED_NAME)}}


def button_interaction(reply: Reply, *, task_id: str) -> dict[str, object]:
    """A template card with up to six buttons; `task_id` comes back with each press."""
    title, detail = _heading(reply)
    card: dict[str, object] = {
        "card_type": "button_interaction",
        "task_id": task_id,
        "main_title": {"title": _short(title, _TITLE)},
        "button_list": [_card_button(button, style) for style, button in _styled(reply.buttons)],
    }
    if detail:
        card["sub_title_text"] = _short(detail, _SUBTITLE)
    if reply.card is not None and reply.card.rows:
        card["horizontal_content_list"] = _rows(reply.card)
    return card


def text_notice(card: Card, *, lead: str, pages: list[Button], task_id: str | None = None) -> dict[str, object]:
    """A template card that opens the first of `pages` when tapped and lists the others."""
    detail = "\n".join(part for part in (lead, card.body) if part)
    notice: dict[str, object] = {
        "card_type": "text_notice",
        "main_title": {"title": _short(card.title, _TITLE)},
        "card_action": {"type": _OPEN_PAGE, "url": pages[0].url},
    }
    if task_id is not None:
        notice["task_id"] = task_id
    if detail:
        notice["sub_title_text"] = _short(detail, _SUBTITLE)
    if card.rows:
        notice["horizontal_content_list"] = _rows(card)
    if pages[1:]:
        notice["jump_list"] = [{"type": _OPEN_PAGE, "title": page.text, "url": page.url} for page in pages[1:4]]
    return notice


def text_card(text: str, page: Button) -> dict[str, object]:
    """A title, a description and one page; the first line of `text` is the title."""
    title, _, description = text.partition("\n")
    return {
        "title": _short(title, _CARD_TITLE),
        "description": _short(description.strip() or title, _CARD_DESCRIPTION),
        "url": page.url,
        "btntxt": _short(page.text, 4),
    }


def markdown(card: Card, *, lead: str) -> str:
    """`card` in WeCom's markdown; markup characters in its values lose their meaning."""
    lines = [lead.translate(_MARKUP)] if lead else []
    lines.append(f"**{card.title.translate(_MARKUP)}**")
    lines += [f"> {row.label.translate(_MARKUP)}：{row.value.translate(_MARKUP)}" for row in card.rows]
    lines += [card.body.translate(_MARKUP)] if card.body else []
    return cut_to_bytes("\n".join(lines), MAX_TEXT_BYTES)


def links_of(reply: Reply) -> list[dict[str, object]]:
    """The pages of `reply` as attachments of a welcome message or group send."""
    pages = [button for button in reply.buttons if button.url]
    return [{"msgtype": "link", "link": {"title": page.text, "url": page.url}} for page in pages[:MAX_LINKS]]


def task_id_of(reply: Reply, client_message_id: str) -> str:
    """The card's own id where WeCom takes it, else one made from `client_message_id`: equal for a retry."""
    wanted = reply.card.task_id if reply.card is not None else None
    if wanted and _TASK_ID.fullmatch(wanted):
        return wanted
    return "m-" + hashlib.sha256((wanted or client_message_id).encode()).hexdigest()[:32]


def _template_card(card: dict[str, object]) -> Body:
    return {"msgtype": "template_card", "template_card": card}


def _heading(reply: Reply) -> tuple[str, str]:
    if reply.card is None:
        title, _, detail = reply.text.partition("\n")
        return title, detail.strip()
    return reply.card.title, "\n".join(part for part in (reply.text, reply.card.body) if part)


def _rows(card: Card) -> list[dict[str, object]]:
    shown = card.rows[:MAX_ROWS]
    return [{"keyname": _short(row.label, _ROW_NAME), "value": _short(row.value, _ROW_VALUE)} for row in shown]


def _styled(buttons: tuple[Button, ...]) -> list[tuple[int, Button]]:
    # Style 1 is the one filled button of a card; 4 is plain.
    return [(1 if position == 0 else 4, button) for position, button in enumerate(buttons[:MAX_BUTTONS])]


def _card_button(button: Button, style: int) -> dict[str, object]:
    shown = {"text": _short(button.text, _BUTTON_TEXT), "style": style}
    if button.url:
        return {**shown, "type": _OPEN_PAGE, "url": button.url}
    return {**shown, "type": _CALL_BACK, "key": button.key}


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
