"""The ledger against a model of it, over thousands of random histories; every invariant after every step."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from loyalty import db
from loyalty.fsck import queries as fsck
from loyalty.fsck.ledger import LEDGER
from loyalty.ledger import queries
from loyalty.ledger import service as ledger
from loyalty.ledger.moving import move_everything
from loyalty.ledger.service import (
    Activate,
    Asset,
    CancelPending,
    Capture,
    Claw,
    ClawBack,
    Grant,
    Hold,
    Operation,
    Pending,
    Posted,
    Reverse,
    Spend,
    TakeBack,
    Transfer,
    Void,
)
from tests.support.ledger_model import ASSETS, Expected, ModelLedger

pytestmark = pytest.mark.usefixtures("database")

T = TypeVar("T")

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MEMBERS = (1, 2, 3)
LEDGER_INVARIANTS = {each.name for each in LEDGER}
ROWS = """
SELECT lot.member_id, lot.asset, entry.key, entry.kind, lot.remaining
FROM ledger_lot lot JOIN ledger_entry entry ON entry.id = lot.entry_id ORDER BY lot.id
"""
EMPTY = "TRUNCATE ledger_balance, ledger_lot, ledger_hold, ledger_entry, ledger_posting RESTART IDENTITY"

members = st.sampled_from(MEMBERS)
assets = st.sampled_from((Asset.POINTS, Asset.POINTS, Asset.POINTS, Asset.GROWTH))
amounts = st.integers(1, 60)
hours = st.integers(1, 6)


class AbandonedError(Exception):
    """The unit of work ends without a commit, as when its process dies."""


class LedgerMachine(RuleBasedStateMachine):
    """Random histories; `loop` is the event loop that owns the database connection."""

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.model = ModelLedger(MEMBERS)
        self.asked: list[Operation] = []
        self.spent: list[Spend | Capture] = []
        self.held: list[Hold] = []
        self.granted: list[Grant] = []
        self.serial = 0
        self.total_out = 0

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def key(self) -> str:
        self.serial += 1
        return f"op:{self.serial}"

    @initialize()
    def open_accounts(self) -> None:
        async def opened() -> None:
            await db.execute(EMPTY)
            async with db.unit_of_work():
                await ledger.open_accounts(MEMBERS, now=START)

        self.wait(opened())

    # -- making operations -----------------------------------------------------------------

    def grant(self, draw: st.DataObject) -> Grant:
        ends = draw.draw(st.none() | hours, label="ends in hours")
        return Grant(
            member_id=draw.draw(members),
            asset=draw.draw(assets),
            amount=draw.draw(amounts),
            key=self.key(),
            kind="test",
            occurred_at=self.now,
            effective_at=draw.draw(st.sampled_from((None, self.now - HOUR))),
            expires_at=None if ends is None else self.now + ends * HOUR,
            priority=draw.draw(st.integers(0, 1)),
            promotional=draw.draw(st.booleans()),
        )

    def promise(self, draw: st.DataObject) -> Grant:
        """Pending units: by time, or until an event."""
        starts = draw.draw(st.none() | hours, label="starts in hours")
        begins = None if starts is None else self.now + starts * HOUR
        lasts = draw.draw(st.none() | hours) if begins else None
        return replace(
            self.grant(draw),
            effective_at=None,
            expires_at=begins + lasts * HOUR if begins and lasts else None,
            pending=Pending(activates_at=begins, event=None if begins else "order.received"),
        )

    def of_promise(self, draw: st.DataObject) -> Activate | CancelPending | Grant:
        """An event comes, or what was promised is taken back."""
        promised = [grant for grant in self.granted if grant.pending]
        if not promised:
            return self.promise(draw)
        origin = draw.draw(st.sampled_from(promised))
        about = {
            "member_id": origin.member_id,
            "asset": origin.asset,
            "grant_key": origin.key,
            "key": self.key(),
            "occurred_at": self.now,
        }
        if draw.draw(st.booleans()):
            return Activate(**about)  # type: ignore[arg-type]  # as its fields say
        return CancelPending(**about, amount=draw.draw(st.none() | amounts))  # type: ignore[arg-type]  # the same

    def hold(self, draw: st.DataObject) -> Hold:
        return Hold(
            member_id=draw.draw(members),
            asset=Asset.POINTS,
            amount=draw.draw(amounts),
            key=self.key(),
            kind="test",
            occurred_at=self.now,
            expires_at=self.now + draw.draw(hours) * HOUR,
        )

    def of_hold(self, draw: st.DataObject) -> Capture | Void | Hold:
        """A hold is taken, in part or whole, or given up."""
        if not self.held:
            return self.hold(draw)
        origin = draw.draw(st.sampled_from(self.held))
        member_id = draw.draw(st.sampled_from([origin.member_id, *MEMBERS[:1]]))
        if draw.draw(st.booleans()):
            return Void(
                member_id=member_id, asset=origin.asset, hold_key=origin.key, key=self.key(), occurred_at=self.now
            )
        return Capture(
            member_id=member_id,
            asset=origin.asset,
            hold_key=origin.key,
            key=self.key(),
            kind="test",
            occurred_at=self.now,
            amount=draw.draw(st.none() | amounts),
        )

    def transfer(self, draw: st.DataObject) -> Transfer:
        source, target = draw.draw(st.permutations(MEMBERS))[:2]
        return Transfer(
            member_id=source,
            to_member_id=target,
            asset=Asset.POINTS,
            amount=draw.draw(amounts),
            key=self.key(),
            occurred_at=self.now,
        )

    def spend(self, draw: st.DataObject) -> Spend:
        return Spend(
            member_id=draw.draw(members),
            asset=Asset.POINTS,
            amount=draw.draw(amounts),
            key=self.key(),
            kind="test",
            occurred_at=self.now,
        )

    def take_back(self, draw: st.DataObject) -> TakeBack:
        has_origin = bool(self.granted) and draw.draw(st.booleans())
        mode = draw.draw(st.sampled_from(list(Claw)))
        origin = draw.draw(st.sampled_from(self.granted)) if has_origin else None
        return TakeBack(
            member_id=origin.member_id if origin else draw.draw(members),
            asset=origin.asset if origin else draw.draw(assets),
            amount=draw.draw(amounts),
            key=self.key(),
            kind="test",
            occurred_at=self.now,
            reverses=(origin.key,) if origin else (),
            policy=ClawBack(mode, draw.draw(st.integers(0, 40)) if mode is Claw.ALLOW else 0),
        )

    def reverse(self, draw: st.DataObject) -> Reverse:
        known: list[Spend | Capture | Grant] = [*self.spent, *self.granted[:1]]
        origin = draw.draw(st.sampled_from(known)) if known else None
        return Reverse(
            member_id=origin.member_id if origin else 1,
            asset=origin.asset if origin else Asset.POINTS,
            key=self.key(),
            reverses_key=origin.key if origin else "never",
            kind="test",
            occurred_at=self.now,
            amount=draw.draw(st.none() | amounts),
        )

    def any_operation(self, draw: st.DataObject) -> Operation:
        makers: tuple[Callable[[st.DataObject], Operation], ...]
        makers = (
            *(self.grant, self.grant, self.spend, self.spend, self.take_back, self.reverse, self.reverse),
            *(self.promise, self.of_promise, self.hold, self.of_hold, self.of_hold, self.transfer),
        )
        return makers[draw.draw(st.integers(0, len(makers) - 1), label="operation")](draw)

    def remember(self, batch: list[Operation]) -> None:
        """What later operations may repeat, take back or reverse."""
        self.asked += batch
        self.spent += [operation for operation in batch if isinstance(operation, Spend | Capture)]
        self.held += [operation for operation in batch if isinstance(operation, Hold)]
        self.granted += [operation for operation in batch if isinstance(operation, Grant)]

    # -- rules -----------------------------------------------------------------------------

    @rule(draw=st.data(), size=st.sampled_from((1, 1, 1, 2, 3, 6)))
    def post(self, draw: st.DataObject, size: int) -> None:
        """A batch is booked as if its operations came one by one."""
        batch: list[Operation] = []
        for _ in range(size):
            batch.append(self.any_operation(draw))
            self.remember(batch[-1:])
        expected = self.model.post_all(batch, self.now)
        assert self.wait(self.posted(batch)) == expected

    @rule(draw=st.data())
    def replay(self, draw: st.DataObject) -> None:
        """The same operation again, any time later."""
        if self.asked:
            operation = draw.draw(st.sampled_from(self.asked))
            expected = self.model.post_all([operation], self.now)
            assert self.wait(self.posted([operation])) == expected

    @rule(draw=st.data())
    def reuse_a_key(self, draw: st.DataObject) -> None:
        """Another operation under a known key."""
        booked = self.model.booked
        known = [op for op in self.asked if isinstance(op, Grant) and (op.member_id, op.key) in booked]
        if known:
            operation = draw.draw(st.sampled_from(known))
            self.model.wallets[operation.member_id, operation.asset].settle(self.now)
            other = Spend(
                member_id=operation.member_id,
                asset=operation.asset,
                amount=operation.amount,
                key=operation.key,
                kind="test",
                occurred_at=self.now,
            )
            assert self.wait(self.posted([other])) == [Expected(refusal="ledger.key_reused")]

    @rule(draw=st.data())
    def abandon(self, draw: st.DataObject) -> None:
        """A unit of work that never commits leaves nothing; its operations may come again later."""
        operation = self.any_operation(draw)
        self.remember([operation])

        async def abandoned() -> None:
            async with db.unit_of_work():
                await ledger.post([operation], now=self.now)
                raise AbandonedError

        with pytest.raises(AbandonedError):
            self.wait(abandoned())

    @rule(step=hours)
    def jump(self, step: int) -> None:
        """Time passes."""
        self.now += step * HOUR

    @rule()
    def sweep(self) -> None:
        """Lots that are over are closed, all of them, in bounded steps."""

        async def swept() -> int:
            ended = 0
            while True:
                async with db.unit_of_work():
                    done = await ledger.expire_due(now=self.now, batch_max=2)
                ended += sum(posted.amount for _, posted in done)
                if not done:
                    return ended

        assert self.wait(swept()) == self.model.expire(self.now)

    @rule()
    def settle(self) -> None:
        """What time has decided is booked, everywhere, in bounded steps."""

        async def settled() -> None:
            while True:
                async with db.unit_of_work():
                    if not await ledger.settle_due(now=self.now, batch_max=3):
                        return

        self.wait(settled())
        self.model.settle(self.now)

    @rule(source=members, into=members)
    def merge(self, source: int, into: int) -> None:
        """Everything live moves to another member."""
        if source == into:
            return
        key = self.key()

        async def moved() -> int:
            async with db.unit_of_work():
                return sum((await move_everything(source, into, key=key, now=self.now)).values())

        assert self.wait(moved()) == self.model.move(source, into, self.now)

    # -- what always holds -----------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        """Every lot, every balance and every invariant, after every step."""
        self.wait(self._held())

    async def posted(self, batch: list[Operation]) -> list[Expected]:
        async with db.unit_of_work():
            outcomes = await ledger.post(batch, now=self.now)
        return [
            Expected(outcome.delta, replayed=outcome.replayed)
            if isinstance(outcome, Posted)
            else Expected(refusal=getattr(outcome, "code", type(outcome).__name__))
            for outcome in outcomes
        ]

    async def _held(self) -> None:
        stored: dict[tuple[int, str], list[int]] = {}
        for row in await db.fetch(ROWS):
            stored.setdefault((row["member_id"], row["asset"]), []).append(row["remaining"])
        modelled = {
            (member, str(asset)): [lot.remaining for lot in sorted(wallet.lots, key=lambda lot: lot.born)]
            for (member, asset), wallet in self.model.wallets.items()
            if wallet.lots
        }
        assert stored == modelled
        usable = await queries.balances(MEMBERS, at=self.now)
        for member in MEMBERS:
            assert usable[member].points == self.model.wallets[member, Asset.POINTS].usable(self.now)
            assert usable[member].growth == self.model.wallets[member, Asset.GROWTH].usable(self.now)
            for asset in ASSETS:
                again = await queries.balance_as_of(member, asset, self.now)
                assert again == usable[member].of(asset)
        for each in fsck.INVARIANTS:
            if each.name in LEDGER_INVARIANTS:
                assert [row[0] for row in await db.fetch(each.sql)] == [], each.name


async def run_machine(examples: int, steps: int) -> None:
    machine = type("Machine", (LedgerMachine,), {"loop": asyncio.get_running_loop()})
    given = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        phases=(Phase.explicit, Phase.generate),
    )
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=given)


@pytest.mark.timeout(300)
async def test_random_histories_agree_with_the_model() -> None:
    await run_machine(50, 50)


@pytest.mark.deep
@pytest.mark.timeout(7200)
async def test_a_thousand_long_histories_agree_with_the_model() -> None:
    await run_machine(1000, 100)
