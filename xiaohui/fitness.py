"""Whether the connected database is one that this version and this secret can work with."""

from collections.abc import Coroutine
from typing import Final

import asyncpg
import typer

from loyalty import schema
from loyalty.config import ConfigError
from loyalty.members import queries as members

BROKEN: Final = 1
DATABASE_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def in_words(work: Coroutine[None, None, int]) -> int:
    """The exit status of `work`; a database that is away is a sentence and not a traceback."""
    try:
        return await work
    except DATABASE_AWAY as away:
        typer.secho(f"数据库不可用 · the database cannot be used: {type(away).__name__}: {away}", err=True, fg="red")
        return BROKEN


async def refuse_older_schema() -> None:
    """Refuse to go on with tables that are not there.

    Raises:
        ConfigError: migrations are missing.
    """
    missing = await schema.missing()
    if missing:
        raise ConfigError(f"the database lacks {', '.join(missing)}: run `xiaohui migrate` first")


async def refuse_other_secret() -> None:
    """Refuse to go on with a secret that does not open what the database holds.

    Raises:
        ConfigError: the data was sealed with another secret.
    """
    if not await members.data_opens():
        raise ConfigError(
            "XIAOHUI_SECRET: the data in this database was sealed with another secret; set the one it was written with"
        )
