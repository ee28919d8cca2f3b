"""The platforms' own clock: real time for what goes on the wire, movable time for what expires."""

import time


class WorldClock:
    """Two readings of time, both Unix seconds.

    The product's clock cannot be moved by a platform, so timestamps on the wire stay real; only the platform's own
    bookkeeping (tokens, windows, codes, quotas) lives in world time, which the control API moves forward.
    """

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s

    def wire(self) -> float:
        """Real time: CreateTime, signature timestamps, auth_date."""
        return time.time()

    def world(self) -> float:
        """Real time plus what the control API added: what the platforms expire things by."""
        return time.time() + self.offset_s

    def advance(self, seconds: float) -> None:
        """Move world time forward. Raises ValueError for a negative step: expired things cannot come back."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset_s += seconds
