"""A duty: something that is looked at whenever its bell rings and at least every so often."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.outbound import Outbound


@dataclass(frozen=True, slots=True)
class Hands:
    """What a duty may need beside the database: the ways out of this process."""

    outbound: Outbound


Run = Callable[[Hands], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Duty:
    """`run` does one bounded batch and returns whether more is waiting; it opens its own units of work."""

    name: str
    every: timedelta
    run: Run
