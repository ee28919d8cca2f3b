"""The platforms' own clock: real time for what goes on the wire, movable time for what expires."""

import time
from collections.abc import Callable


class WorldClock:
    """Two readings of time, both Unix seconds.

    A platform cannot move the product's clock, so timestamps on the wire stay real and only the platform's own
    bookkeeping (tokens, windows, codes, quotas) lives in world time, which the control API moves forward. Where the
    product asks to be told (`follow`, called with the offset in seconds), both move together, and the wire with them.
    """

    def __init__(self, offset_s: float = 0.0, follow: Callable[[float], None] | None = None) -> None:
        self.offset_s, self._follow = offset_s, follow
        if follow is not None:
            follow(offset_s)

    def wire(self) -> float:
        """What the product believes the time is: CreateTime, signature timestamps, auth_date."""
        return self._real() if self._follow is None else self.world()

    def world(self) -> float:
        """Real time plus what the control API added: what the platforms expire things by."""
        return self._real() + self.offset_s

    @staticmethod
    def _real() -> float:
        return time.time()  # noqa: TID251 - the platforms live outside the product and cannot share its clock

    def advance(self, seconds: float) -> None:
        """Move world time forward. Raises ValueError for a negative step: expired things cannot come back."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.set_offset(self.offset_s + seconds)

    def set_offset(self, seconds: float) -> None:
        """Put world time that far ahead of real time."""
        self.offset_s = seconds
        if self._follow is not None:
            self._follow(seconds)
