"""The ledger against a model of it, over thousands of random histories; every invariant after every step."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from loyalty import db
from loyalty.fsck.ledger import LEDGER
from loyalty.ledger import queries
from loyalty.ledger import service as ledger
from loyalty.ledger.moving import move_everything, return_everything
from loyalty.ledger.service import (
    Grant,
    Operation,
    Posted,
    Spend,
)
from tests.support.ledger_model import ASSETS, Expected, ModelLedger
from tests.support.ledger_operations import HOUR, MEMBERS, START, OperationMaker, hours, members

pytestmark = pytest.mark.usefixtures("database")

T = TypeVar("T")

BROKEN = " UNION ALL ".join(f"SELECT '{each.name}: ' || broken FROM ({each.sql}) AS rows(broken)" for each in LEDGER)
ROWS = """
SELECT lot.member_id, lot.asset, entry.key, entry.kind, lot.remaining
FROM ledger_lot lot JOIN ledger_entry entry ON entry.id = lot.entry_id ORDER BY lot.id
"""
EMPTY = "TRUNCATE ledger_balance, ledger_lot, ledger_hold, ledger_entry, ledger_posting RESTART IDENTITY"


class AbandonedError(Exception):
    """The unit of work ends without a commit, as when its process dies."""


class LedgerMachine(OperationMaker, RuleBasedStateMachine):
    """Random histories; `loop` is the event loop that owns the database connection."""

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.model = ModelLedger(MEMBERS)
        self.merges: list[tuple[int, int, str]] = []

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    @initialize()
    def open_accounts(self) -> None:
        async def opened() -> None:
            await db.execute(EMPTY)
            async with db.unit_of_work():
                await ledger.open_accounts(MEMBERS, now=START)

        self.wait(opened())

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
                ended += sum(posted.amount for _, _, posted in done)
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
        key = f"{self.key()}:"

        async def moved() -> int:
            async with db.unit_of_work():
                return sum((await move_everything(source, into, key=key, now=self.now)).values())

        assert self.wait(moved()) == self.model.move(source, into, key, self.now)
        self.merges.append((source, into, key))

    @rule(draw=st.data())
    def unmerge(self, draw: st.DataObject) -> None:
        """What came by a merge and is still there goes back."""
        if not self.merges:
            return
        place = draw.draw(st.integers(0, len(self.merges) - 1), label="merge")
        source, into, moved_by = self.merges.pop(place)
        key = f"{self.key()}:"

        async def returned() -> int:
            async with db.unit_of_work():
                back = await return_everything(into, source, moved_by=moved_by, key=key, now=self.now)
            return sum(back.values())

        assert self.wait(returned()) == self.model.move(into, source, key, self.now, only=moved_by)

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
        seen = await queries.balances(MEMBERS, at=self.now)
        for member in MEMBERS:
            for asset in ASSETS:
                balance = seen[member].of(asset)
                expected = self.model.wallets[member, asset].standing(self.now)
                assert (balance.available, balance.pending, balance.held, balance.arrears) == expected
                assert await queries.balance_as_of(member, asset, self.now) == balance
        assert [row[0] for row in await db.fetch(BROKEN)] == []


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
    await run_machine(20, 30)


@pytest.mark.deep
@pytest.mark.timeout(7200)
async def test_a_thousand_long_histories_agree_with_the_model() -> None:
    await run_machine(1000, 100)
