"""「签到」: check in and hear what it brought. The one conversation that sees bursts, hence a batch."""

from collections.abc import Sequence

from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.check_ins import service as check_ins
from loyalty.check_ins.service import AlreadyCheckedIn


async def run_many(chats: Sequence[Chat]) -> list[Reply]:
    """Check in everybody who said so."""
    if not chats:
        return []
    outcomes = await check_ins.check_in_many([chat.member_id for chat in chats], now=chats[0].now)
    return [_answer(chat, outcome) for chat, outcome in zip(chats, outcomes, strict=True)]


def _answer(chat: Chat, outcome: check_ins.CheckInOutcome) -> Reply:
    if isinstance(outcome, AlreadyCheckedIn):
        return chat.say("check_in_already", streak=outcome.params["streak"])
    return chat.say("check_in", done=outcome, is_new=chat.person.is_new)
