"""The ledger as an application usually writes it: ORM rows, locked and saved inside a transaction, one posting each.

It works on the yardstick's tables (`yardstick.sql`) and promises what they can: a key that books once, lots that are
used oldest first, a balance that is never negative.
"""

import asyncio
import time
import uuid
from datetime import date, timedelta
from itertools import count
from typing import Final

from tortoise import Tortoise, fields
from tortoise.exceptions import IntegrityError
from tortoise.models import Model
from tortoise.transactions import in_transaction

from loyalty import db
from xiaohui.bench import ledger
from xiaohui.bench.ledger import Rate

LANES: Final = 32


class Key(Model):
    """A key that books once."""

    key = fields.UUIDField(primary_key=True)
    entry_id = fields.BigIntField(null=True)

    class Meta:
        table = "yard_key"


class Balance(Model):
    """What a member has."""

    member_id = fields.BigIntField(primary_key=True, generated=False)
    available = fields.BigIntField()

    class Meta:
        table = "yard_balance"


class Lot(Model):
    """What came together."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    remaining = fields.BigIntField()
    expires_on = fields.DateField()

    class Meta:
        table = "yard_lot"


class Entry(Model):
    """What happened."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    amount = fields.BigIntField()
    balance_after = fields.BigIntField()

    class Meta:
        table = "yard_entry"


async def measure(database_url: str, members: int, *, seconds: float) -> Rate:
    """One posting per transaction, 32 at a time, on a pool of as many connections."""
    config = db.tortoise_config(database_url, pool_size=LANES)
    await Tortoise.init(
        config={**config, "apps": {"yard": {"models": [__name__], "default_connection": db.CONNECTION}}},
        _enable_global_fallback=True,
    )
    numbers, done, started = count(), 0, time.perf_counter()
    expires_on = date.today() + timedelta(days=365)  # noqa: DTZ011 - any day of next year

    async def lane() -> None:
        nonlocal done
        while time.perf_counter() - started < seconds:
            number = next(numbers)
            amount = ledger.GRANT if ledger.earns(number) else -ledger.SPEND
            await _book(uuid.uuid4(), number * ledger.STRIDE % members + 1, amount, expires_on)
            done += 1

    try:
        await asyncio.gather(*(lane() for _ in range(LANES)))
    finally:
        await Tortoise.close_connections()
    return Rate(per_second=round(done / (time.perf_counter() - started), 1), operations=done)


async def _book(key: uuid.UUID, member_id: int, amount: int, expires_on: date) -> None:
    async with in_transaction(db.CONNECTION):
        try:
            booked = await Key.create(key=key)
        except IntegrityError:
            return
        balance = await Balance.select_for_update().get(member_id=member_id)
        balance.available += amount
        await balance.save(update_fields=["available"])
        if amount > 0:
            await Lot.create(member_id=member_id, remaining=amount, expires_on=expires_on)
        else:
            await _use_lots(member_id, -amount)
        entry = await Entry.create(member_id=member_id, amount=amount, balance_after=balance.available)
        booked.entry_id = entry.id
        await booked.save(update_fields=["entry_id"])


async def _use_lots(member_id: int, wanted: int) -> None:
    for lot in await Lot.filter(member_id=member_id, remaining__gt=0).order_by("expires_on", "id").select_for_update():
        used = min(lot.remaining, wanted)
        lot.remaining -= used
        wanted -= used
        await lot.save(update_fields=["remaining"])
        if not wanted:
            return
