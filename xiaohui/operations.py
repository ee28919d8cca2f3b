"""What an operator runs beside the processes: schema, configuration, invariants, demo data."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import typer

from loyalty import clock, db, schema, vault
from loyalty.config import ConfigError, Settings
from loyalty.fsck import queries as invariants
from xiaohui import accounts as configured
from xiaohui.addresses import reached
from xiaohui.first_run import development_secrets
from xiaohui.fitness import refuse_older_schema, refuse_other_secret

OK, BROKEN = 0, 1


@asynccontextmanager
async def database(settings: Settings, *, migrated: bool = False) -> AsyncIterator[Settings]:
    """The connected database, at head (brought there with `migrated`) and opened by our secret.

    Raises:
        ConfigError: a setting is missing, the schema is older, or the secret is another one.
    """
    async with reached(settings) as ready:
        if ready.database_url is None or ready.secret is None:
            raise ConfigError("XIAOHUI_DATABASE_URL and XIAOHUI_SECRET are needed here")
        vault.unlock(ready.secret)
        if migrated:
            await schema.migrate(ready.database_url)
        await db.connect(ready.database_url)
        try:
            await refuse_older_schema()
            await refuse_other_secret()
            yield ready
        finally:
            await db.disconnect()


async def migrate_schema(settings: Settings) -> int:
    """Apply what is missing and name it."""
    async with reached(settings) as ready:
        if ready.database_url is None:
            raise ConfigError("XIAOHUI_DATABASE_URL is needed here")
        applied = await schema.migrate(ready.database_url, progress=lambda name: typer.echo(f"  ✓ {name}"))
    typer.secho(f"完成：应用了 {len(applied)} 个迁移 · done: {len(applied)} migrations applied", fg="green")
    return OK


def check_configuration(settings: Settings) -> int:
    """Say what is configured; a mistake has been refused while reading it."""
    found = configured.read(settings)
    typer.echo(f"  环境 · environment      {settings.environment}")
    typer.echo(f"  配置文件 · file          {settings.config_path or '—'}")
    typer.echo(f"  数据库 · database        {'URL' if settings.database_url else '内置 · embedded'}")
    typer.echo(f"  Redis                  {'URL' if settings.redis_url else '内置 · embedded'}")
    for name in ("wechat_oa", "wechat_mini", "wecom", "telegram"):
        for account in getattr(found, name):
            typer.echo(f"  渠道 · channel           {settings.public_url}/hooks/{name}/{account.account}")
    for name in settings.unknown_variables:
        typer.secho(f"  ⚠ 没有这个变量，未使用 · unknown variable, not used: {name}", fg="yellow")
    typer.secho("配置可用 · the configuration can be used", fg="green")
    return OK


async def check_invariants(settings: Settings) -> int:
    """Check every invariant on live data; which row breaks which one."""
    status = OK
    async with database(settings):
        async for finding in invariants.check_all():
            if not finding.broken:
                typer.secho(f"  ✓ {finding.invariant.name}：{finding.invariant.meaning}", fg="green")
                continue
            status = BROKEN
            typer.secho(f"  ✗ {finding.invariant.name}：{finding.invariant.meaning}", fg="red")
            for row in finding.broken:
                typer.echo(f"      {row}")
    return status


async def seed_demo(settings: Settings, *, members: int, seed: int) -> int:
    """Write demo data; members that the same seed made before are left as they are."""
    from xiaohui.demo.seed import seed as write

    def say(line: str) -> None:
        typer.secho(f"  · {line}", fg="cyan")

    async with database(settings, migrated=True) as ready:
        corp_id = development_secrets(ready.home).keys["corp_id"]
        added = await write(members=members, corp_id=corp_id, seed=seed, now=clock.now(), progress=say)
    typer.secho(f"新增 {added} 位演示会员 · {added} demo members added", fg="green")
    return OK
