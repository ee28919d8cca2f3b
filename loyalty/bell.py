"""Ringing for work after the commit that made it.

Rows are the truth; a bell only saves waiting for the next look at them. Verbs ring inside their unit of
work, the commit lets it sound, a rollback silences it. Who listens is decided by the front door: the
worker of the same process, a Redis queue, or nobody, in which case work is found a moment later.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, Literal

Duty = Literal["relay", "outbox", "journeys", "unions"]
Listener = Callable[[frozenset[str]], None]

_rung: Final[ContextVar[set[str] | None]] = ContextVar("rung", default=None)
_listeners: list[Listener] = []


def ring(duty: Duty) -> None:
    """Ask for `duty` to be looked at once this unit of work is committed."""
    rung = _rung.get()
    if rung is not None:
        rung.add(duty)


def listen(listener: Listener) -> None:
    """Hear every bell of this process; `listener` must return at once and never raise."""
    _listeners.append(listener)


def unlisten(listener: Listener) -> None:
    """Stop hearing."""
    _listeners.remove(listener)


def collect() -> set[str]:
    """Start collecting bells for a unit of work (called by `loyalty.db` only)."""
    rung: set[str] = set()
    _rung.set(rung)
    return rung


def sound(rung: set[str]) -> None:
    """The unit of work is committed: let its bells sound (called by `loyalty.db` only)."""
    if rung:
        for listener in _listeners:
            listener(frozenset(rung))
