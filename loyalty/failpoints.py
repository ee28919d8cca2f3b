"""Named places where tests let a process die, fail or wait; inert unless armed.

Armed by a test in its own process, or through `XIAOHUI_FAILPOINTS=outbound.sent=kill` for a process that a test
starts (`loyalty/config.py` reads it, production refuses it).
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Final, Literal, get_args

from loyalty.errors import Bug, ensure

Action = Literal["raise", "kill", "delay"]

POINTS: Final = frozenset(
    {
        "outbound.claimed",
        "outbound.begun",
        "outbound.sent",
        "relay.handled",
        "relay.committed",
        "journeys.moved",
        "journeys.committed",
        "sweep.batch",
    }
)
DELAY_S: Final = 5.0

_armed: dict[str, Action] = {}


class Failed(Exception):
    """A failpoint said so."""


def arm(points: Mapping[str, Action]) -> None:
    """From now on, act at these points; an empty mapping disarms all."""
    ensure(points.keys() <= POINTS, f"failpoints are {sorted(POINTS)}")
    _armed.clear()
    _armed.update(points)


def parse(text: str) -> dict[str, Action]:
    """`name=action,name=action` as a mapping.

    Raises:
        Bug: an unknown point or action.
    """
    points: dict[str, Action] = {}
    for part in filter(None, text.split(",")):
        name, _, action = part.partition("=")
        if name not in POINTS or action not in get_args(Action):
            raise Bug(f"failpoint {part}: known are {sorted(POINTS)} with {get_args(Action)}")
        points[name] = action  # type: ignore[assignment]  # get_args is what the line above asked
    return points


async def reach(name: str) -> None:
    """Do at `name` what it is armed for; nothing in every process that no test started."""
    action = _armed.get(name)
    if action is None:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "raise":
        raise Failed(name)
    await asyncio.sleep(DELAY_S)
