"""Drawing operations for the ledger at random, about what was asked of it before."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from loyalty.expiry import Rolling, Round
from loyalty.ledger.service import (
    Activate,
    Asset,
    CancelPending,
    Capture,
    Claw,
    ClawBack,
    Forgive,
    Grant,
    Hold,
    Operation,
    Pending,
    Reverse,
    Spend,
    TakeBack,
    Transfer,
    Void,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MEMBERS = (1, 2, 3)

members = st.sampled_from(MEMBERS)
assets = st.sampled_from((Asset.POINTS, Asset.POINTS, Asset.POINTS, Asset.GROWTH))
amounts = st.integers(1, 60)
hours = st.integers(1, 6)


class OperationMaker:
    """What was asked so far, and what may be asked next."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.asked: list[Operation] = []
        self.spent: list[Spend | Capture] = []
        self.held: list[Hold] = []
        self.granted: list[Grant] = []
        self.serial = 0

    def key(self) -> str:
        self.serial += 1
        return f"op:{self.serial}"

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
        """Pending units: by time, or until an event, with a deadline or without."""
        starts = draw.draw(st.none() | hours, label="starts in hours")
        begins = None if starts is None else self.now + starts * HOUR
        lasts = draw.draw(st.none() | hours) if begins else None
        late = draw.draw(st.none() | hours) if not begins else None
        days = draw.draw(st.none() | st.just(1)) if not begins else None
        return replace(
            self.grant(draw),
            effective_at=None,
            expires_at=begins + lasts * HOUR if begins and lasts else None,
            pending=Pending(
                activates_at=begins,
                event=None if begins else "order.received",
                cancels_at=self.now + late * HOUR if late else None,
                expiry=Rolling(days=days, round_up=Round.NONE).model_dump(mode="json") if days else None,
                zone="UTC",
            ),
        )

    def of_promise(self, draw: st.DataObject) -> Activate | CancelPending | Grant:
        """An event comes, at once or for later, or what was promised is taken back."""
        promised = [grant for grant in self.granted if grant.pending]
        if not promised:
            return self.promise(draw)
        origin = draw.draw(st.sampled_from(promised))
        about = {
            "member_id": draw.draw(st.sampled_from([origin.member_id, *MEMBERS[:1]])),
            "asset": origin.asset,
            "grant_key": origin.key,
            "key": self.key(),
            "occurred_at": self.now,
        }
        if draw.draw(st.booleans()):
            begins = draw.draw(st.none() | hours, label="begins in hours")
            at = None if begins is None else self.now + (begins - 1) * HOUR
            return Activate(**about, activates_at=at)  # type: ignore[arg-type]  # as its fields say
        return CancelPending(**about, amount=draw.draw(st.none() | amounts))  # type: ignore[arg-type]  # the same

    def forgive(self, draw: st.DataObject) -> Forgive:
        return Forgive(
            member_id=draw.draw(members),
            asset=Asset.POINTS,
            key=self.key(),
            occurred_at=self.now,
            amount=draw.draw(st.none() | amounts),
        )

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
            *(self.promise, self.of_promise, self.hold, self.of_hold, self.of_hold, self.transfer, self.forgive),
        )
        return makers[draw.draw(st.integers(0, len(makers) - 1), label="operation")](draw)

    def remember(self, batch: list[Operation]) -> None:
        """What later operations may repeat, take back or reverse."""
        self.asked += batch
        self.spent += [operation for operation in batch if isinstance(operation, Spend | Capture)]
        self.held += [operation for operation in batch if isinstance(operation, Hold)]
        self.granted += [operation for operation in batch if isinstance(operation, Grant)]
