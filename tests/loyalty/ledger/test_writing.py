"""How a plan is written: usual values may stay unsaid, ids follow the batch, and a balance has one writer."""

from datetime import timedelta

import pytest

from loyalty import db
from loyalty.errors import Bug
from loyalty.ledger import service as ledger
from loyalty.ledger.reading import read
from loyalty.ledger.rules import plan
from loyalty.ledger.service import Account, Asset, Grant, Idle, Pending, Spend
from loyalty.ledger.writing import write
from tests.loyalty.ledger.purse import POINTS, day, grant, members, posted

pytestmark = pytest.mark.usefixtures("database")

NOW = day(1, 10)
LOT = """
SELECT grant_key, original, remaining, state, priority, promotional, effective_at, expires_at, activates_at, event,
       cancels_at, expiry, zone, idle_months, idle_on
FROM ledger_lot lot JOIN ledger_entry entry ON entry.id = lot.id WHERE entry.key = $1
"""
TAKEN = """
SELECT lot.grant_key, posting.amount FROM ledger_posting posting JOIN ledger_lot lot ON lot.id = posting.lot_id
WHERE destination = 'spent' ORDER BY seq
"""


def spend(amount: int, key: str) -> Spend:
    return Spend(**POINTS, amount=amount, key=key, kind="test", occurred_at=NOW)


async def lot(key: str) -> dict[str, object]:
    row = await db.fetch_one(LOT, key)
    assert row is not None
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("beside", [(), (grant(5, "usual", NOW),)], ids=["alone", "beside a usual one"])
async def test_unusual_values_are_written(beside: tuple[Grant, ...]) -> None:
    await members()
    unusual = grant(
        7,
        "unusual",
        NOW - timedelta(days=3),
        priority=2,
        promotional=False,
        effective_at=NOW - timedelta(days=2),
        expires_at=NOW + timedelta(days=9),
        grant_key="elsewhere",
        source=Account.GOODWILL,
    )
    idle = grant(6, "idle", NOW, idle=Idle(months=6, activities=frozenset({"spend", "earn"}), zone="UTC"))
    waits = Pending(event="fair", cancels_at=NOW + timedelta(days=5), expiry={"kind": "never"}, zone="UTC")
    for operation in (unusual, idle, grant(4, "waiting", NOW, pending=waits)):
        await posted(operation, *beside, now=NOW)
    usual = {"state": "active", "priority": 0, "promotional": True, "effective_at": NOW}
    for plain in beside:
        assert await lot(plain.key) == {"grant_key": plain.key, "original": 5, "remaining": 5, **usual}
    assert await lot("unusual") == {
        "grant_key": "elsewhere",
        "original": 7,
        "remaining": 7,
        "state": "active",
        "priority": 2,
        "promotional": False,
        "effective_at": unusual.effective_at,
        "expires_at": unusual.expires_at,
    }
    ending = {"zone": "UTC", "idle_months": 6, "idle_on": "earn,spend"}
    assert await lot("idle") == {"grant_key": "idle", "original": 6, "remaining": 6, **usual, **ending}
    hoping = {"event": "fair", "cancels_at": waits.cancels_at, "expiry": '{"kind": "never"}', "zone": "UTC"}
    assert await lot("waiting") == {
        "grant_key": "waiting",
        "original": 4,
        "remaining": 4,
        **usual,
        "state": "pending",
        **hoping,
    }
    filled = await db.fetch(
        "SELECT key, source, destination, occurred_at FROM ledger_posting posting"
        " JOIN ledger_entry entry ON entry.id = posting.entry_id WHERE key = ANY($1) ORDER BY key",
        ["unusual", "waiting"],
    )
    assert [tuple(row) for row in filled] == [
        ("unusual", "goodwill", "available", unusual.occurred_at),
        ("waiting", "issued", "pending", NOW),
    ]


async def test_a_lot_made_and_used_in_one_batch_holds_what_is_left_of_it() -> None:
    await members()
    await posted(
        grant(5, "gone", NOW, priority=-1),
        grant(9, "begun", NOW),
        grant(4, "whole", NOW, priority=1),
        spend(8, "spend"),
        now=NOW,
    )
    assert [(await lot(key))["remaining"] for key in ("gone", "begun", "whole")] == [0, 6, 4]
    taken = await db.fetch(TAKEN)
    assert [tuple(row) for row in taken] == [("gone", 5), ("begun", 3)]


async def test_ids_follow_the_order_of_the_batch() -> None:
    await members()
    keys = [f"{number:02}" for number in (3, 1, 2, 9, 0)]
    outcomes = await posted(*(grant(1, key, NOW) for key in keys), now=NOW)
    assert await db.fetch_value("SELECT array_agg(key ORDER BY id) FROM ledger_entry") == keys
    ids = [outcome.entry_id for outcome in outcomes if isinstance(outcome, ledger.Posted)]
    assert ids == sorted(ids)


async def test_a_balance_that_changed_since_it_was_locked_is_not_overwritten() -> None:
    await members()
    await posted(grant(5, "a", NOW), now=NOW)
    with pytest.raises(Bug):
        await _post_while_somebody_writes_the_balance()
    assert await db.fetch_value("SELECT available FROM ledger_balance WHERE asset = 'points'") == 5
    assert await db.fetch_value("SELECT array_agg(key) FROM ledger_entry") == ["a"]


async def _post_while_somebody_writes_the_balance() -> None:
    async with db.unit_of_work():
        batch = [grant(5, "b", NOW)]
        made = plan(batch, await read(batch, NOW))
        await db.execute("UPDATE ledger_balance SET available = available + 1 WHERE asset = $1", Asset.POINTS)
        await write(made, NOW)
