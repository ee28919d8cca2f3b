"""Access tokens that many processes use and one refreshes at a time.

Each process remembers the token; the shared one is sealed in the database behind a lease with a fencing
epoch. A refresher that stalls and wakes up late cannot overwrite what its successor stored.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from bot.channel import Rejected, RejectReason, Unknown
from loyalty import clock, db
from loyalty.credentials import service
from loyalty.credentials.service import Credential

LEASE_S: Final = 15.0
"""How long one refresh may take before another process may try; longer than the call's own deadline."""

_REFRESH_AT_LIFE: Final = 0.8
_WAIT_STEP_S: Final = 0.05
_WAIT_S: Final = LEASE_S + 1.0
_STUCK_S: Final = 30.0
_RETRY_AFTER_FAILURE: Final = timedelta(seconds=1)


class TokenSource(Protocol):
    """Where a client takes its access token from."""

    async def current(self) -> str:
        """A token that should be valid. Raises `TokenUnavailable`."""
        ...

    async def renew(self, rejected: str) -> str:
        """A token other than `rejected`, which the platform just refused. Raises `TokenUnavailable`."""
        ...


class TokenUnavailable(Exception):
    """No token can be had now; `result` says why in the words of a send."""

    def __init__(self, result: Rejected | Unknown) -> None:
        super().__init__(result.detail)
        self.result = result


@dataclass(frozen=True, slots=True)
class Issued:
    """A token as the platform issued it."""

    value: str
    expires_in_s: int


Issue = Callable[[bool], Awaitable[Issued]]
"""Asks the platform for a token; True asks it to drop the present one. Raises `TokenUnavailable`."""

TokenFactory = Callable[[str, Issue], TokenSource]
"""Makes the source of the credential with that name, e.g. `LeasedTokens`."""


@dataclass(frozen=True, slots=True)
class _Held:
    value: str
    refresh_at: datetime
    expires_at: datetime


class LeasedTokens:
    """`TokenSource` over the shared store. `name` is the credential's row, one per platform account and kind."""

    def __init__(self, name: str, issue: Issue) -> None:
        self._name = name
        self._issue = issue
        self._holder = secrets.token_hex(8)
        self._held: _Held | None = None
        self._refreshing = asyncio.Lock()
        self._failed_until: datetime | None = None
        self._failure: TokenUnavailable | None = None

    async def current(self) -> str:
        """The remembered token while it is young, else the shared one, else a new one.

        Raises:
            TokenUnavailable: the platform issues none.
        """
        if (young := self._young()) is not None:
            return young
        async with self._refreshing:
            # Whoever had the lock before us usually brought a token.
            return self._young() or await self._shared_or_new(rejected=None)

    async def renew(self, rejected: str) -> str:
        """The shared token when another process already replaced `rejected`, else a new one.

        Raises:
            TokenUnavailable: the platform issues none.
        """
        async with self._refreshing:
            held = self._held
            if held is not None and held.value != rejected and clock.now() < held.expires_at:
                return held.value
            self._held = None
            return await self._shared_or_new(rejected)

    def _young(self) -> str | None:
        held = self._held
        return held.value if held is not None and clock.now() < held.refresh_at else None

    async def _shared_or_new(self, rejected: str | None) -> str:
        waited = 0.0
        while True:
            shared = await self._read_shared(rejected)
            if shared is not None and clock.now() < shared.refresh_at:
                return self._remember(shared)
            epoch = await self._lease()
            if epoch is not None:
                try:
                    return await self._refresh(epoch, rejected)
                except TokenUnavailable:
                    if shared is None:
                        raise
            if shared is not None:
                # Past its youth but valid: somebody refreshes it, or the platform is away for a moment.
                return shared.value
            if waited >= _WAIT_S:
                raise TokenUnavailable(Unknown("another process is refreshing the token and does not finish"))
            await asyncio.sleep(_WAIT_STEP_S)
            waited += _WAIT_STEP_S

    async def _refresh(self, epoch: int, rejected: str | None) -> str:
        # Between our read and our lease the previous holder may have stored a fresh token.
        shared = await self._read_shared(rejected)
        if shared is not None and clock.now() < shared.refresh_at:
            await self._release(epoch)
            return self._remember(shared)
        try:
            issued = await self._issued(rejected)
        except BaseException:
            await self._release(epoch)
            raise
        expires_at = clock.now() + timedelta(seconds=issued.expires_in_s)
        if not await self._store(issued.value, expires_at, epoch):
            newer = await self._read_shared(rejected)
            if newer is not None:
                return self._remember(newer)
        return self._remember(_held(issued.value, expires_at, issued.expires_in_s))

    async def _issued(self, rejected: str | None) -> Issued:
        now = clock.now()
        if self._failure is not None and self._failed_until is not None and now < self._failed_until:
            raise self._failure
        try:
            issued = await self._issue(False)
            if issued.value == rejected:
                issued = await self._issue(True)
            if issued.value == rejected:
                # Forced refreshes are rationed (WeChat: 30 s apart); it will be replaced, but not yet.
                stuck = Rejected(RejectReason.RATE, "token_unchanged", "the refused token was issued again", _STUCK_S)
                raise TokenUnavailable(stuck)
        except TokenUnavailable as failure:
            self._failure, self._failed_until = failure, now + _RETRY_AFTER_FAILURE
            raise
        self._failure = None
        return issued

    async def _read_shared(self, rejected: str | None) -> _Held | None:
        async with db.unit_of_work():
            credential = await service.read(self._name)
        if credential is None or credential.value == rejected or credential.expires_at <= clock.now():
            return None
        return _from_shared(credential)

    async def _lease(self) -> int | None:
        async with db.unit_of_work():
            return await service.try_lease(self._name, self._holder, LEASE_S)

    async def _store(self, value: str, expires_at: datetime, epoch: int) -> bool:
        async with db.unit_of_work():
            return await service.store(self._name, value, expires_at, epoch)

    async def _release(self, epoch: int) -> None:
        async with db.unit_of_work():
            await service.release(self._name, epoch)

    def _remember(self, held: _Held) -> str:
        self._held = held
        return held.value


def _held(value: str, expires_at: datetime, lifetime_s: float) -> _Held:
    return _Held(value, expires_at - timedelta(seconds=lifetime_s * (1 - _REFRESH_AT_LIFE)), expires_at)


def _from_shared(credential: Credential) -> _Held:
    lifetime_s = (credential.expires_at - credential.stored_at).total_seconds()
    return _held(credential.value, credential.expires_at, lifetime_s)
