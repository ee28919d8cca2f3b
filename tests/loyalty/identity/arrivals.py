"""What one web process does when many people write at once; run in processes of their own by the tests."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from loyalty import db, vault
from loyalty.identity import service as identity
from loyalty.identity.service import Contact

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


def arrive(database_url: str, secret: bytes, people: int) -> list[tuple[int, int]]:
    """Resolve the same `people`, each from two apps, in small batches; member ids per person and app."""
    return asyncio.run(_arrive(database_url, secret, people))


async def _arrive(database_url: str, secret: bytes, people: int) -> list[tuple[int, int]]:
    vault.unlock(secret)
    await db.connect(database_url, pool_size=2)
    try:
        return [await db.retried(partial(_one, serial)) for serial in range(people)]
    finally:
        await db.disconnect()


async def _one(serial: int) -> tuple[int, int]:
    async with db.unit_of_work():
        oa, mini = await identity.resolve_many([_contact("wxoa", serial), _contact("wxmini", serial)], now=NOW)
    return oa.member_id, mini.member_id


def _contact(app_id: str, serial: int) -> Contact:
    return Contact(channel="wechat_oa", account="main", app_id=app_id, external_id=f"o{serial}", union_id=f"u{serial}")
