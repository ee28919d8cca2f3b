"""Bringing a database to this version's schema, one process at a time."""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

import asyncpg
from tortoise import Tortoise
from tortoise.migrations.api import migrate as apply_migrations

from loyalty import db

REACHED_BY: Final = ("host", "port", "user", "password", "database", "ssl")
# Any constant works; it only has to be the same for every process that migrates.
ADVISORY_LOCK: Final = 0x7869_616F_6875_6900


async def migrate(database_url: str, *, progress: Callable[[str], object] = lambda _line: None) -> list[str]:
    """Apply what is missing, under an advisory lock so that two starts do not race; names of what was applied.

    Raises:
        asyncpg.PostgresError: a statement failed; everything of that migration was rolled back.
    """
    lock = await asyncpg.connect(**_dsn(database_url))
    try:
        await lock.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        return await _apply(database_url, progress)
    finally:
        await lock.close()


def _dsn(database_url: str) -> dict[str, object]:
    credentials = db.tortoise_config(database_url)["connections"][db.CONNECTION]["credentials"]
    return {key: value for key, value in credentials.items() if key in REACHED_BY}


async def _apply(database_url: str, progress: Callable[[str], object]) -> list[str]:
    applied: list[str] = []

    def report(event: str, _app: str, name: str) -> None:
        if event == "apply_done":
            applied.append(name)
            progress(name)

    try:
        await apply_migrations(config=db.tortoise_config(database_url), progress=report)
    finally:
        await Tortoise.close_connections()
    return applied


async def missing() -> list[str]:
    """Migrations on disk that the connected database has not seen; empty when at head."""
    on_disk = {module.name for module in iter_modules(import_module(db.MIGRATIONS_MODULE).__path__)}
    if not await db.fetch_value("SELECT to_regclass('tortoise_migrations') IS NOT NULL"):
        return sorted(on_disk)
    seen = {row["name"] for row in await db.fetch("SELECT name FROM tortoise_migrations WHERE app = 'loyalty'")}
    return sorted(on_disk - seen)
