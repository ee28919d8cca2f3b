"""Daily quotas by API path; the day ends at midnight in Beijing (UTC+8), in world time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from bot.sandbox.clock import WorldClock
from bot.sandbox.world import World

BEIJING = timezone(timedelta(hours=8))
DAILY: Mapping[str, int] = {
    "/cgi-bin/token": 2_000,
    "/cgi-bin/stable_token": 500_000,
    "/cgi-bin/menu/create": 1_000,
    "/cgi-bin/menu/get": 10_000,
    "/cgi-bin/menu/delete": 1_000,
    "/cgi-bin/menu/addconditional": 2_000,
    "/cgi-bin/menu/delconditional": 2_000,
    "/cgi-bin/menu/trymatch": 20_000,
    "/cgi-bin/message/custom/send": 500_000,
    "/cgi-bin/message/template/send": 100_000,
    "/cgi-bin/message/subscribe/bizsend": 100_000,
    "/cgi-bin/message/subscribe/send": 10_000_000,
    "/cgi-bin/qrcode/create": 100_000,
    "/cgi-bin/user/get": 500,
    "/cgi-bin/user/info": 5_000_000,
    "/cgi-bin/user/info/batchget": 5_000_000,
    "/cgi-bin/media/upload": 100_000,
    "/wxa/msg_sec_check": 2_000_000,
}
LONGEST_RATE_S = 3600
UNLISTED = 1_000_000
"""What quota/get reports for a path whose quota is not documented."""


class Quotas:
    """Counts calls per account and path."""

    def __init__(self, world: World, clock: WorldClock, limits: Mapping[str, int]) -> None:
        self._world, self._clock = world, clock
        self._limits = {**DAILY, **limits}

    def _today(self) -> dict[str, dict[str, int]]:
        day = datetime.fromtimestamp(self._clock.world(), UTC).astimezone(BEIJING).date().isoformat()
        if self._world.usage_day != day:
            self._world.usage_day = day
            self._world.usage = {}
        return self._world.usage

    def spend(self, account_key: str, path: str) -> bool:
        """Count one call; False when the day's quota is used up."""
        used = self._today().setdefault(account_key, {})
        if used.get(path, 0) >= self.limit(path):
            return False
        used[path] = used.get(path, 0) + 1
        return True

    def rate(self, key: str, seconds: float, limit: int) -> bool:
        """Count one use in a sliding window; False when `limit` uses are inside it already."""
        now = self._clock.world()
        recent = self._world.recent
        for stale in [name for name, times in recent.items() if times[-1] <= now - LONGEST_RATE_S]:
            del recent[stale]
        times = [at for at in recent.get(key, []) if at > now - seconds]
        allowed = len(times) < limit
        recent[key] = [*times, now] if allowed else times or [now]
        return allowed

    def limit(self, path: str) -> int:
        """Calls per day."""
        return self._limits.get(path, UNLISTED)

    def used(self, account_key: str, path: str) -> int:
        """Calls of today."""
        return self._today().get(account_key, {}).get(path, 0)

    def clear(self, account_key: str) -> None:
        """Give an account its whole day back (clear_quota)."""
        self._today().pop(account_key, None)

    def report(self) -> dict[str, dict[str, Any]]:
        """Per account and path that was called today: limit, used, left."""
        return {
            key: {
                path: {"limit": self.limit(path), "used": count, "left": self.limit(path) - count}
                for path, count in sorted(paths.items())
            }
            for key, paths in sorted(self._today().items())
        }
