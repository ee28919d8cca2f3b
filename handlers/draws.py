"""「抽奖」: the draws that run with their odds, one press to draw, the prizes won, how to check a result."""

from typing import Final

from handlers.chat import Chat, StaffChat
from handlers.messages import Reply
from loyalty.draws import giving, queries, service
from loyalty.draws.publishing import DrawUnknown
from loyalty.draws.queries import DrawView
from loyalty.draws.service import DrawRequest

_SHOWN: Final = 3
_WINS_SHOWN: Final = 6


async def run(chat: Chat) -> Reply:
    """What can be drawn now, and with which odds."""
    found = [draw for draw in await queries.running(at=chat.now) if draw.draw.is_open(chat.now)]
    left = {draw.code: await queries.left(draw.id) for draw in found[:_SHOWN]}
    return chat.say("draws", draws=found[:_SHOWN], left=left)


async def draw(chat: Chat) -> Reply:
    """The press of a draw button; the platform's message id is the member's share in the randomness."""
    found = await _open(chat)
    request = DrawRequest(member_id=chat.member_id, key=f"chat:{chat.inbound.key}"[:160], nonce=_nonce(chat))
    done = await service.draw_one(found.code, request, now=chat.now)
    code = giving.code_of(done.record_id) if done.prize.award.kind == "handed_over" else None
    return chat.say("drawn", done=done, draw=found, code=code)


async def wins(chat: Chat) -> Reply:
    """The prizes of this member, with the code for what still waits in the store."""
    found = await queries.wins(chat.member_id, limit=_WINS_SHOWN)
    codes = {win.id: giving.code_of(win.id) for win in found if win.status == "waiting"}
    return chat.say("wins", wins=found, codes=codes)


async def hand_over(chat: StaffChat) -> Reply:
    """「发奖 ABCD-…」: a clerk gives a prize against the winner's code."""
    if not chat.rest.strip():
        return chat.say("ask_prize_code")
    prize = await giving.hand_over(chat.rest, principal=chat.staff, now=chat.now)
    return chat.say("prize_handed_over", prize=prize)


async def _open(chat: Chat) -> DrawView:
    found = await queries.find(chat.rest)
    if found is None:
        raise DrawUnknown
    return found


def _nonce(chat: Chat) -> str:
    visible = "".join(character for character in chat.inbound.key if "!" <= character <= "~" and character != "|")
    return visible[-64:] or str(chat.member_id)
