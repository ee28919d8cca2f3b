"""Staff: approvals, the store's day, and what can be said here."""

from datetime import datetime

from handlers import platform
from handlers.chat import StaffChat
from handlers.messages import SILENT, Reply
from loyalty.approvals import queries as approvals
from loyalty.decisions import service as decisions
from loyalty.errors import Forbidden
from loyalty.ladders import queries as ladders
from loyalty.members import queries as members_read
from loyalty.reports import queries as reports
from loyalty.staff import queries as staff


async def waiting(chat: StaffChat) -> Reply:
    """The oldest request that waits for this person, as a card to press, and how many wait in all."""
    asked = await approvals.waiting_for(chat.staff, now=chat.now)
    if not asked:
        return chat.say("no_approvals")
    first = asked[0]
    programme = await ladders.in_force(chat.now)
    ends_at = first.payload.get("ends_at")
    return chat.say(
        "approval",
        asked=first,
        tier=programme.step(first.payload.get("tier")).names,
        ends_at=datetime.fromisoformat(ends_at) if ends_at else None,
        count=len(asked),
        requester=await staff.card(first.requested_by),
        member=None if first.member_id is None else await members_read.card(first.member_id, at=chat.now),
        unit=decisions.KINDS[first.kind].unit,
        # WeCom takes each id once, and the same request may be shown again.
        task_id=f"approval-{first.public_id}-{chat.inbound.key}"[:128],
    )


async def approve(chat: StaffChat) -> Reply:
    """同意."""
    return await _decided(chat, approve=True)


async def refuse(chat: StaffChat) -> Reply:
    """拒绝."""
    return await _decided(chat, approve=False)


async def today(chat: StaffChat) -> Reply:
    """The numbers of this person's store."""
    if chat.staff.store_id is None:
        raise Forbidden(action="store.read")
    day = await reports.store_day(chat.staff.store_id, principal=chat.staff, now=chat.now)
    return chat.say("today", day=day, store=await staff.store(chat.staff.store_id))


async def guide(chat: StaffChat) -> Reply:
    """What can be typed."""
    return chat.say("help", role=chat.staff.role)


async def fallback(chat: StaffChat) -> Reply:
    """Not understood."""
    return chat.say("fallback")


async def done(chat: StaffChat) -> Reply:
    """The member being served leaves the counter."""
    await chat.finish()
    return chat.say("done")


async def cancel(chat: StaffChat) -> Reply:
    """Leave an open step; the member stays."""
    await chat.expect("", member_id=chat.serving)
    return chat.say("cancelled")


async def silent(_chat: StaffChat) -> Reply:
    """Seen, and nothing to say."""
    return SILENT


async def unhandled(chat: StaffChat) -> Reply:
    """Kept, and nothing to say."""
    return await platform.unhandled(chat.inbound, chat.now)


async def _decided(chat: StaffChat, *, approve: bool) -> Reply:
    decided = await decisions.decide(chat.rest, chat.staff, approve=approve, now=chat.now)
    return chat.say("approval_decided", decided=decided, approved=approve)
