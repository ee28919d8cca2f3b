"""A neutral reply as WeChat text: cards become lines, buttons become links that send a key back."""

import re
from typing import Final
from urllib.parse import quote

from handlers.messages import Button, Reply

MAX_TEXT_BYTES: Final = 2048
"""Longest text that WeChat shows, in UTF-8 bytes."""

_MAX_BUTTONS: Final = 8
_UNSAFE_IN_LINK: Final = str.maketrans({'"': "＂", "&": "＆", "<": "＜", ">": "＞", "#": "＃", "\n": " "})
_ANCHOR: Final = re.compile(r"<(?=/?a[\s>])", re.IGNORECASE)


def wechat_text(reply: Reply) -> str:
    """`reply` within `MAX_TEXT_BYTES`: its buttons are kept whole, its words are cut at the end if need be.

    A button press comes back as a text with `bizmsgmenuid`. Links can only be made from buttons: a nickname
    that looks like one is shown as it is.
    """
    links = "\n".join(_link(button) for button in reply.buttons[:_MAX_BUTTONS])
    words = _ANCHOR.sub("＜", "\n".join(_lines(reply)))
    room = MAX_TEXT_BYTES - (len(links.encode()) + 2 if links else 0)
    words = cut_to_bytes(words, room)
    return f"{words}\n\n{links}" if links else words


def cut_to_bytes(text: str, most: int) -> str:
    """`text`, or its beginning and an ellipsis in at most `most` UTF-8 bytes, never half a character."""
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    kept = encoded[: max(0, most - len("…".encode()))].decode("utf-8", "ignore")
    # A joiner or variation selector at the cut would make half an emoji look like another one.
    return kept.rstrip("\u200d\ufe0e\ufe0f") + "…"


def _lines(reply: Reply) -> list[str]:
    lines = [reply.text] if reply.text else []
    if reply.card is not None:
        lines.append(f"【{reply.card.title}】")
        lines += [f"{row.label}：{row.value}" for row in reply.card.rows]
        lines += [reply.card.body] if reply.card.body else []
    return lines


def _link(button: Button) -> str:
    words = button.text.replace("<", "＜")
    if button.url is not None:
        return f'<a href="{quote(button.url, safe=":/?#[]@!$&()*+,;=%~")}">{words}</a>'
    # The client shows the content as the person's own words and does not decode it, so it stays as it is.
    said = button.text.translate(_UNSAFE_IN_LINK)
    return f'<a href="weixin://bizmsgmenu?msgmenucontent={said}&msgmenuid={quote(button.key, safe=":,=/")}">{words}</a>'
