"""Soft limits per caller and operation: they keep one caller from crowding out the others.

What must never be guessed (codes, phone proofs) is limited in the domain by counters in the database. Reads and
writes are counted in this process; logins and guessable look-ups in Redis, shared by all processes, and in this
process while Redis is away.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from loyalty.errors import TooMany
from miniapp_api.endpoint import Rate

log = structlog.get_logger()

CALLERS_MAX: Final = 100_000
REDIS_REST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """`per_second` on average with bursts of `burst`; `shared` counts across processes."""

    per_second: float
    burst: int
    shared: bool = False

    @property
    def interval_s(self) -> float:
        """Seconds that one request uses up."""
        return 1 / self.per_second


# Bursts are wide because a whole shop, school or carrier may stand behind one address, and because a till that was
# offline sends its day at once; the averages are what protects.
ALLOWANCES: Final[Mapping[Rate, Allowance]] = {
    Rate.READ: Allowance(per_second=200, burst=4000),
    Rate.WRITE: Allowance(per_second=100, burst=4000),
    Rate.LOGIN: Allowance(per_second=100, burst=20_000, shared=True),
    Rate.GUESSABLE: Allowance(per_second=2, burst=600, shared=True),
}

# Generic cell rate algorithm: one number per caller, the time at which its allowance is whole again.
_GCRA: Final = """
local now = redis.call('TIME')
local at = tonumber(now[1]) + tonumber(now[2]) / 1000000
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), at) + interval
local wait = full - at - interval * burst
if wait > 0 then return tostring(wait) end
redis.call('SET', KEYS[1], string.format('%.6f', full), 'PX', math.ceil((full - at) * 1000) + 1)
return '0'
"""


class Limits:
    """The buckets of one process."""

    def __init__(self, redis: Redis | None, allowances: Mapping[Rate, Allowance] = ALLOWANCES) -> None:
        self._redis = redis
        self._allowances = allowances
        self._full_at: dict[tuple[Rate, str], float] = {}
        self._redis_rests_until = 0.0

    async def take(self, rate: Rate, caller: str) -> None:
        """Count one request of `caller`.

        Raises:
            TooMany: the allowance is used up; `retry_after_s` says for how long.
        """
        allowance = self._allowances[rate]
        wait = await self._shared(rate, caller, allowance) if allowance.shared else None
        if wait is None:
            wait = self._local(rate, caller, allowance)
        if wait > 0:
            raise TooMany(retry_after_s=max(1, round(wait + 0.5)))

    def _local(self, rate: Rate, caller: str, allowance: Allowance) -> float:
        now = time.monotonic()
        full_at = max(self._full_at.get((rate, caller), 0.0), now) + allowance.interval_s
        wait = full_at - now - allowance.interval_s * allowance.burst
        if wait > 0:
            return wait
        if len(self._full_at) >= CALLERS_MAX:
            self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        self._full_at[rate, caller] = full_at
        return 0.0

    async def _shared(self, rate: Rate, caller: str, allowance: Allowance) -> float | None:
        if self._redis is None or time.monotonic() < self._redis_rests_until:
            return None
        try:
            wait = await self._redis.eval(  # type: ignore[misc]  # redis-py types both its faces as one union
                _GCRA,
                1,
                f"xiaohui:rate:{rate.value}:{caller}",
                str(allowance.interval_s),
                str(allowance.burst),
            )
        except (RedisError, OSError, TimeoutError) as away:
            self._redis_rests_until = time.monotonic() + REDIS_REST_S
            log.warning("rate_limits_local", reason=type(away).__name__)
            return None
        return float(wait)
