"""Points: the balance, what ends soon, recent movements, and why each of them happened."""

from datetime import timedelta
from typing import Final

from handlers.button_keys import row_id
from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.earning import queries as earning
from loyalty.errors import NotFound
from loyalty.ledger import queries
from loyalty.ledger.operations import Asset
from loyalty.ledger.queries import Movement
from loyalty.purchases import queries as purchases
from loyalty.tiers import queries as tiers

SOON: Final = timedelta(days=30)
_SHOWN: Final = 5
_PURCHASES_SHOWN: Final = 3
_RULES_SHOWN: Final = 8


async def run(chat: Chat) -> Reply:
    """Balance, the next expiries and the last movements, each with a number to ask about."""
    balances = await queries.balances([chat.member_id], at=chat.now)
    page = await queries.statement(chat.member_id, Asset.POINTS, limit=_SHOWN)
    return chat.say(
        "points", balance=balances[chat.member_id].points, movements=page.movements, ending=await _ending(chat)
    )


async def why(chat: Chat) -> Reply:
    """One movement (the last one, unless its button was pressed) in the member's words: by which rule, for what,
    and when those points end."""
    entry_id = row_id(chat.rest) if chat.rest else await _latest(chat)
    if entry_id is None and not chat.rest:
        return await run(chat)
    if entry_id is None:
        raise NotFound(what="movement")
    explained = await queries.explain(chat.member_id, entry_id)
    movement = explained.movement
    return chat.say("points_why", movement=movement, shares=explained.shares, purchase=await _purchase(chat, movement))


async def rules(chat: Chat) -> Reply:
    """How points are earned, used and lost, with what of the member's own ends soon."""
    standing = await tiers.standing(chat.member_id, at=chat.now)
    published = await earning.telling(at=chat.now)
    names = [view.rule.name for view in published][:_RULES_SHOWN]
    return chat.say("points_rules", tier=standing.tier, ending=await _ending(chat), rules=names)


async def missing(chat: Chat) -> Reply:
    """「积分怎么没到账」: what we know of the last purchases, and what to do when one is not among them."""
    recent = await purchases.recent(chat.member_id, limit=_PURCHASES_SHOWN)
    page = await queries.statement(chat.member_id, Asset.POINTS, limit=1)
    return chat.say("points_missing", purchases=recent, last=next(iter(page.movements), None))


async def _latest(chat: Chat) -> int | None:
    page = await queries.statement(chat.member_id, Asset.POINTS, limit=1)
    return page.movements[0].id if page.movements else None


async def _ending(chat: Chat) -> list[tuple[object, int]]:
    ending = await queries.expiring(chat.member_id, Asset.POINTS, after=chat.now, until=chat.now + SOON)
    return [(at, units) for at, units in ending[:_PURCHASES_SHOWN]]


async def _purchase(chat: Chat, movement: Movement) -> purchases.PurchaseView | None:
    wanted = movement.reason.get("purchase_id")
    if wanted is None:
        return None
    recent = await purchases.recent(chat.member_id, before_id=int(wanted) + 1, limit=1)
    return next((purchase for purchase in recent if purchase.id == wanted), None)
