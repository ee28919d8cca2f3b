"""Not faster than a platform allows, and not at all while it is broken.

Both are kept per process: the platform's own refusal (429, 45009) is what several processes share, and it is
honoured by `loyalty.reach.service.stop` and by the message's next try.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from handlers.messages import ChannelName


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `per_second` messages for the account, and one per `per_person_s` seconds to the same person."""

    per_second: float
    per_person_s: float = 0.0


PACES: Final[Mapping[ChannelName, Pace]] = {
    "telegram": Pace(per_second=25, per_person_s=1.0),
    "wechat_oa": Pace(per_second=50),
    "wechat_mini": Pace(per_second=50),
    "wecom": Pace(per_second=20, per_person_s=2.1),
}
"""Below the documented limits: 30 messages a second and one per chat (Telegram), 10,000 calls a minute and 30
messages a minute to one member of staff (WeCom); WeChat names none per second."""

WAIT_MAX_S: Final = 5.0
PEOPLE_MAX: Final = 10_000


class Pacer:
    """Hands out moments at which a message may leave."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], float] = {}
        self._people: dict[tuple[str, str, str], float] = {}

    def reserve(self, channel: ChannelName, account: str, external_id: str) -> float | None:
        """Seconds to wait before sending; None when it would be too long, and nothing is reserved."""
        pace, now = PACES[channel], asyncio.get_running_loop().time()
        person = (channel, account, external_id)
        free_at = max(now, self._accounts.get((channel, account), now), self._people.get(person, now))
        if free_at - now > WAIT_MAX_S:
            return None
        self._accounts[channel, account] = max(now, self._accounts.get((channel, account), now)) + 1 / pace.per_second
        if pace.per_person_s:
            self._people[person] = free_at + pace.per_person_s
            self._forget(now)
        return free_at - now

    def _forget(self, now: float) -> None:
        if len(self._people) > PEOPLE_MAX:
            self._people = {person: at for person, at in self._people.items() if at > now}


class Breaker:
    """Opens for `rest_s` when half of the last calls of an API failed; then one call probes it."""

    SEEN: Final = 20
    FAILED: Final = 0.5

    def __init__(self, *, rest_s: float = 30.0) -> None:
        self._rest_s = rest_s
        self._recent: deque[bool] = deque(maxlen=self.SEEN)
        self._open_until: float | None = None

    def rests_for(self) -> float:
        """Seconds for which nothing is sent; 0 when the API may be called."""
        if self._open_until is None:
            return 0.0
        return max(0.0, self._open_until - asyncio.get_running_loop().time())

    def tell(self, *, failed: bool) -> None:
        """What became of one call."""
        probing = self._open_until is not None
        self._recent.append(failed)
        if probing and not failed:
            self._open_until = None
            self._recent.clear()
        elif failed and (probing or self._is_broken()):
            self._open_until = asyncio.get_running_loop().time() + self._rest_s

    @property
    def is_open(self) -> bool:
        """True from the moment it opens until a probe succeeded."""
        return self._open_until is not None

    def _is_broken(self) -> bool:
        return len(self._recent) == self.SEEN and sum(self._recent) >= self.SEEN * self.FAILED
