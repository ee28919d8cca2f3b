"""Where the servers of this installation are: as configured, else the embedded ones of the data folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import typer

from loyalty.config import Settings
from xiaohui.first_run import development_secrets


@asynccontextmanager
async def reached(settings: Settings) -> AsyncIterator[Settings]:
    """`settings` with addresses: as configured, else those of the embedded servers of this data folder,
    which are started for the time being when nobody runs them.

    Raises:
        CannotStart: the embedded servers do not start.
    """
    if settings.database_url and settings.redis_url:
        yield _with_secret(settings)
        return
    from xiaohui.embedded.servers import EmbeddedServers

    servers = EmbeddedServers(settings.home)
    known = servers.running()
    if known is not None:
        yield _with_secret(_filled(settings, known.database_url, known.redis_url))
        return
    with servers.start(lambda line: typer.secho(f"  · {line}", fg="cyan", err=True)) as running:
        yield _with_secret(_filled(settings, running.database_url, running.redis_url))


def _filled(settings: Settings, database_url: str, redis_url: str) -> Settings:
    return replace(
        settings,
        database_url=settings.database_url or database_url,
        redis_url=settings.redis_url or redis_url,
    )


def _with_secret(settings: Settings) -> Settings:
    if settings.secret is not None or settings.is_production:
        return settings
    return replace(settings, secret=development_secrets(settings.home).secret.encode())
