"""What makes two operations the same question, and what no verb may ask. Pure."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC
from functools import lru_cache
from typing import Any, Final

from loyalty.errors import ensure
from loyalty.ledger.operations import (
    Activate,
    Assume,
    CancelPending,
    Capture,
    Expire,
    Forgive,
    Grant,
    Hold,
    MoveHold,
    MovePending,
    Operation,
    Pending,
    Reverse,
    Settle,
    Transfer,
    Void,
)
from loyalty.money import AMOUNT_MAX

FINGERPRINT_BYTES: Final = 16


# What else makes two operations of one kind the same question; the others are told apart by amount and kind.
_TARGETS: Final[Mapping[type, Callable[[Any], tuple[object, ...]]]] = {
    Expire: lambda op: (op.lot_id,),
    Hold: lambda op: (op.amount,),
    Reverse: lambda op: (op.reverses_key, op.amount),
    Activate: lambda op: (op.grant_key, op.activates_at and op.activates_at.astimezone(UTC)),
    CancelPending: lambda op: (op.grant_key, op.amount),
    Capture: lambda op: (op.hold_key, op.amount),
    Void: lambda op: (op.hold_key,),
    Transfer: lambda op: (op.to_member_id, op.amount),
    Assume: lambda op: (op.to_member_id, op.amount),
    MoveHold: lambda op: (op.to_member_id, op.hold_key),
    MovePending: lambda op: (op.to_member_id, op.lot_id),
    Forgive: lambda op: (op.amount,),
    Settle: lambda _op: (),
}


def _amount_and_kind(operation: Any) -> tuple[object, ...]:
    return (operation.amount, operation.kind)


def fingerprint(operation: Operation) -> bytes:
    """What makes two operations the same question: kind of operation, asset, amount, target."""
    target = _TARGETS.get(type(operation), _amount_and_kind)(operation)
    return _digest(type(operation).__name__, operation.asset, *target)


@lru_cache(maxsize=1024)
def _digest(*asked: object) -> bytes:
    """Remembered, because a batch asks the same of many members."""
    return hashlib.blake2b(repr(asked).encode(), digest_size=FINGERPRINT_BYTES).digest()


def check(operation: Operation) -> None:
    """Refuse what no verb may ask for; a failure is our bug, not the member's."""
    amount = getattr(operation, "amount", None)
    if amount is not None:
        ensure(0 < amount <= AMOUNT_MAX, "amounts are positive and bounded; direction is the operation")
    match operation:
        case Grant():
            _check_grant(operation)
        case Hold():
            ensure(operation.expires_at > operation.occurred_at, "a hold lives forward")
        case Transfer() | Assume() | MoveHold() | MovePending():
            ensure(operation.member_id != operation.to_member_id, "a transfer needs two members")
        case _:
            pass


def _check_grant(grant: Grant) -> None:
    match grant.pending:
        case Pending() as pending:
            ensure((pending.activates_at is None) != (pending.event is None), "pending units wait for one thing")
            ensure(pending.event is not None or pending.cancels_at is None, "only an event can fail to come")
            begins = pending.activates_at or grant.occurred_at
        case None:
            begins = grant.effective_at or grant.occurred_at
    ensure(grant.expires_at is None or grant.expires_at > begins, "a lot lives forward")
