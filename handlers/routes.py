"""Which conversation each kind of message belongs to: literal tables, one per kind of speaker."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from handlers import check_in, help, platform, points, welcome
from handlers.chat import Chat, StaffChat
from handlers.messages import Inbound, Reply

BURSTS: Final[Mapping[str, Callable[[Sequence[Chat]], Awaitable[list[Reply]]]]] = {
    "check_in": check_in.run_many,
}
MEMBER: Final[Mapping[str, Callable[[Chat], Awaitable[Reply]]]] = {
    "points": points.run,
    "help": help.run,
    "fallback": help.fallback,
    "welcome": welcome.run,
    "farewell": welcome.farewell,
}
STAFF: Final[Mapping[str, Callable[[StaffChat], Awaitable[Reply]]]] = {}
PLATFORM: Final[Mapping[str, Callable[[Inbound, datetime], Awaitable[Reply]]]] = {
    "unhandled": platform.unhandled,
}


def continued(chat: Chat, name: str) -> str:
    """The route of free text inside a dialogue: the dialogue's own; a command keeps its own."""
    return chat.dialogue.name if chat.dialogue is not None and name == "fallback" else name


def continued_by_staff(chat: StaffChat, name: str) -> str:
    """The same for staff."""
    return chat.dialogue.name if chat.dialogue is not None and name == "fallback" else name
