"""Reads that every request makes, shared by the requests that wait for them at the same moment."""

from collections.abc import Sequence
from typing import Final

from loyalty import clock
from loyalty.access import PartnerPrincipal
from loyalty.group_commit import GroupRead
from loyalty.members import queries as members
from loyalty.members.queries import MemberCard
from loyalty.members.service import MemberGone
from loyalty.sessions import service as sessions
from loyalty.sessions.service import LoggedIn, SessionEnded
from loyalty.staff import queries as staff


async def _logged_in(tokens: Sequence[str]) -> list[LoggedIn | SessionEnded]:
    return await sessions.principals(tokens, now=clock.now())


async def _cards(member_ids: Sequence[int]) -> list[MemberCard | MemberGone]:
    return await members.cards(member_ids, at=clock.now())


async def _partners(keys: Sequence[str]) -> list[PartnerPrincipal | None]:
    return await staff.partners_by_key(keys)


_PARTNERS: Final[GroupRead[str, PartnerPrincipal | None]] = GroupRead(_partners)
_SESSIONS: Final[GroupRead[str, LoggedIn | SessionEnded]] = GroupRead(_logged_in)
_CARDS: Final[GroupRead[int, MemberCard | MemberGone]] = GroupRead(_cards)


async def session_of(token: str) -> LoggedIn:
    """Who presents `token`.

    Raises:
        SessionEnded: nobody who may.
    """
    session = await _SESSIONS.submit(token)
    if isinstance(session, SessionEnded):
        raise session
    return session


async def partner_of(key: str) -> PartnerPrincipal | None:
    """The active partner system that holds this API key."""
    return await _PARTNERS.submit(key)


async def card_of(member_id: int) -> MemberCard:
    """The member's card as of now.

    Raises:
        MemberGone: closed or merged meanwhile.
    """
    card = await _CARDS.submit(member_id)
    if isinstance(card, MemberGone):
        raise card
    return card
