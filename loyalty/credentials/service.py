"""Platform tokens, sealed and shared: one process refreshes while the others read.

Leases run on the database's clock; a token's expiry is the business clock's, so that the sandbox can age it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from loyalty import clock, db, vault

_READ: Final = "SELECT value_sealed, expires_at FROM platform_credential WHERE name = $1"
_LEASE: Final = """
    INSERT INTO platform_credential AS c (name, epoch, lease_holder, lease_until)
    VALUES ($1, 1, $2, clock_timestamp() + make_interval(secs => $3))
    ON CONFLICT (name) DO UPDATE
    SET epoch = c.epoch + 1, lease_holder = excluded.lease_holder, lease_until = excluded.lease_until
    WHERE c.lease_until IS NULL OR c.lease_until <= clock_timestamp()
    RETURNING epoch
"""
_STORE: Final = """
    UPDATE platform_credential
    SET value_sealed = $2, expires_at = $3, lease_holder = NULL, lease_until = NULL
    WHERE name = $1 AND epoch = $4
"""
_RELEASE: Final = """
    UPDATE platform_credential SET lease_holder = NULL, lease_until = NULL WHERE name = $1 AND epoch = $2
"""


@dataclass(frozen=True, slots=True)
class Credential:
    """A platform token in the clear; never log it."""

    value: str
    stored_at: datetime
    expires_at: datetime


async def read(name: str) -> Credential | None:
    """The stored token, expired or not; None when there is none or it was sealed with another root secret."""
    row = await db.fetch_one(_READ, name)
    if row is None or row["value_sealed"] is None:
        return None
    try:
        opened = orjson.loads(vault.unseal(row["value_sealed"], context=_context(name)))
    except vault.SealBroken:
        # A token can always be asked for again; refusing to run after a key change would help nobody.
        return None
    return Credential(opened["value"], datetime.fromisoformat(opened["stored_at"]), row["expires_at"])


async def try_lease(name: str, holder: str, ttl_s: float) -> int | None:
    """The right to refresh `name` for `ttl_s` seconds, as a fencing epoch; None while somebody else has it."""
    row = await db.fetch_one(_LEASE, name, holder, ttl_s)
    return None if row is None else int(row["epoch"])


async def store(name: str, value: str, expires_at: datetime, epoch: int) -> bool:
    """Keep a new token and give the lease back; False when a later lease exists and nothing was stored."""
    content = orjson.dumps({"value": value, "stored_at": clock.now()})
    sealed = vault.seal(content, context=_context(name))
    return await db.execute(_STORE, name, sealed, expires_at, epoch) == 1


async def release(name: str, epoch: int) -> None:
    """Give the lease back without a token, so that the next process need not wait for its end."""
    await db.execute(_RELEASE, name, epoch)


def _context(name: str) -> str:
    return f"platform_credential.value_sealed:{name}"
