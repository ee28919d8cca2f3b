"""What a person means by what they typed: exact commands first, then common phrasings, then "not sure"."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

UNSURE: Final = "fallback"
_NOISE: Final = re.compile(r"[\s\W_]+")

MEMBER_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "check_in": ("签到", "打卡", "每日签到", "check in", "checkin", "/checkin"),
    "points": ("积分", "我的积分", "查积分", "points", "balance", "/points"),
    "help": ("帮助", "菜单", "功能", "help", "/help", "?"),
    "welcome": ("你好", "您好", "hi", "hello", "/start"),
}
STAFF_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "help": ("帮助", "help"),
}


@dataclass(frozen=True, slots=True)
class Intent:
    """The conversation meant and what was said beside its name."""

    route: str
    rest: str = ""


def normalised(text: str) -> str:
    """Half-width, lower case, without spaces, punctuation and emoji."""
    return _NOISE.sub("", unicodedata.normalize("NFKC", text).lower())


def _table(commands: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {normalised(word): route for route, words in commands.items() for word in words}


_MEMBER: Final = _table(MEMBER_COMMANDS)
_STAFF: Final = _table(STAFF_COMMANDS)


@lru_cache(maxsize=4096)
def recognise(text: str, *, for_staff: bool) -> Intent:
    """The intent of `text`."""
    table = _STAFF if for_staff else _MEMBER
    return Intent(table.get(normalised(text), UNSURE), text.strip())
