"""What the ledger answers: it is booked, or why not."""

from dataclasses import dataclass

from loyalty.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True, slots=True)
class Posted:
    """It is booked. `delta` is the signed change of what the member can use (less what they owe), `balance` what
    that was afterwards; the other deltas are those of the accounts of the same name."""

    entry_id: int
    amount: int
    delta: int
    balance: int
    replayed: bool = False
    pending_delta: int = 0
    held_delta: int = 0
    arrears_delta: int = 0

    @property
    def forgiven(self) -> int:
        """Units of a claw-back that the policy did not reach."""
        return max(0, self.amount + self.delta + self.pending_delta)


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """The operation found nothing left to move (a lot already used up or expired)."""


class NotEnough(Conflict):
    """The member has fewer usable units than asked."""

    code = "ledger.not_enough"


class KeyReused(Conflict):
    """The operation key was used before for another operation."""

    code = "ledger.key_reused"


class NothingToReverse(NotFound):
    """The entry to reverse does not exist, or more was asked back than is left of it."""

    code = "ledger.nothing_to_reverse"


class NothingPending(NotFound):
    """No pending units of that grant are left: they became usable or were cancelled."""

    code = "ledger.nothing_pending"


class HoldUnknown(NotFound):
    """There is no such hold."""

    code = "ledger.hold_unknown"


class HoldOver(Conflict):
    """The hold ended before: `state` is captured, voided or expired."""

    code = "ledger.hold_over"


class AlreadyPosted(Conflict):
    """The hold was captured before."""

    code = "ledger.already_posted"


class CaptureTooLarge(Invalid):
    """More was to be captured than is held: `held`."""

    code = "ledger.capture_too_large"


Refused = (
    NothingToDo
    | NotEnough
    | KeyReused
    | NothingToReverse
    | NothingPending
    | HoldUnknown
    | HoldOver
    | AlreadyPosted
    | CaptureTooLarge
)
Outcome = Posted | Refused
