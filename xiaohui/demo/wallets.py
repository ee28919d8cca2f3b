"""The demo's stored value: some members topped up last month and paid with it since."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from loyalty.program.terms import StoredValueTerms, TopUpOffer
from loyalty.stored_value import service as stored_value
from loyalty.stored_value.service import TopUp, Use

TERMS: Final = StoredValueTerms(
    enabled=True,
    offers=(
        TopUpOffer(paid_fen=100_00, bonus_fen=5_00),
        TopUpOffer(paid_fen=300_00, bonus_fen=30_00),
        TopUpOffer(paid_fen=500_00, bonus_fen=80_00),
    ),
)
PAID_FEN: Final = 300_00
USED_FEN: Final = 86_00
LISTED_FEN: Final = 92_00


async def fill(member_ids: Sequence[int], *, now: datetime) -> None:
    """Top every one of these up, once, and let every second one pay for something at a discount."""
    for place, member_id in enumerate(member_ids):
        key = f"demo:{member_id}"
        before = await stored_value.credit(
            TopUp(member_id=member_id, paid_fen=PAID_FEN, key=key, source="cash", paid_at=now - timedelta(days=30)),
            now=now,
        )
        if place % 2 == 0 and not before.consumed_fen:
            bought = Use(
                member_id=member_id,
                key=key,
                amount_fen=USED_FEN,
                list_fen=LISTED_FEN,
                permit_key=key,
                occurred_at=now - timedelta(days=3),
            )
            await stored_value.use(bought, now=now)
