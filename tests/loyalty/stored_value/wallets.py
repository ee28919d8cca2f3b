"""Stored value for tests: a programme that keeps it, and what members do with it."""

from datetime import datetime
from itertools import count
from typing import Any

from loyalty import db
from loyalty.access import Principal
from loyalty.fsck import queries as fsck
from loyalty.program import queries as program
from loyalty.program import service as publishing
from loyalty.program.terms import StoredValueTerms, Terms, TopUpOffer
from loyalty.stored_value import queries as read
from loyalty.stored_value import service as stored
from loyalty.stored_value.queries import SliceView
from loyalty.stored_value.service import TopUp, Use
from tests.loyalty.shop import NOW

_serial = count(1)
OFFERS = (TopUpOffer(paid_fen=100_000, bonus_fen=20_000), TopUpOffer(paid_fen=50_000, bonus_fen=10_000))


async def keeps_stored_value(**values: Any) -> StoredValueTerms:
    """A programme that keeps stored value, with offers of a fifth on top."""
    terms = StoredValueTerms(**{"enabled": True, "offers": OFFERS, "permit_above_fen": 500_000, **values})
    async with db.unit_of_work():
        await publishing.publish(Terms(stored_value=terms), effective_from=NOW, by="test", now=NOW)
    program.forget()
    return terms


def a_top_up(member_id: int, paid_fen: int = 100_000, **values: Any) -> TopUp:
    given: dict[str, Any] = {
        "member_id": member_id,
        "paid_fen": paid_fen,
        "key": f"till:{next(_serial)}",
        "source": "cash",
        "paid_at": NOW,
    }
    return TopUp(**{**given, **values})


async def topped_up(
    member_id: int, paid_fen: int = 100_000, *, principal: Principal | None = None, now: datetime = NOW, **values: Any
) -> SliceView:
    async with db.unit_of_work():
        if principal is None:
            return await stored.credit(a_top_up(member_id, paid_fen, **values), now=now)
        return await stored.top_up(a_top_up(member_id, paid_fen, **values), principal=principal, now=now)


async def used(member_id: int, amount_fen: int, *, list_fen: int | None = None, key: str = "") -> str:
    name = key or f"use:{next(_serial)}"
    asked = Use(
        member_id=member_id,
        key=name,
        amount_fen=amount_fen,
        list_fen=list_fen or amount_fen,
        permit_key=name,
        occurred_at=NOW,
    )
    async with db.unit_of_work():
        await stored.use(asked, now=NOW)
    return name


async def halves(member_id: int) -> tuple[int, int]:
    """Principal and bonus, with every invariant holding."""
    assert [row async for finding in fsck.check_all() for row in finding.broken] == []
    wallet = await read.wallet(member_id, at=NOW)
    return wallet.principal_fen, wallet.bonus_fen
