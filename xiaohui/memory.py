"""The garbage collector of a serving process.

After start-up a quarter of a million objects live for ever: modules, models, routes. The default collector
walks them again and again while short-lived requests fill its youngest generation. Measured under load, a
check-in cost 453 to 697 µs of processor time with the settings below and 598 to 813 µs without
(`xiaohui bench check-in`, decision 0012).
"""

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 50, 100)


async def settle(_app: object) -> None:
    """Take everything that exists now out of collection, and collect what comes later less eagerly."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
