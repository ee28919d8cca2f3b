"""What an operator runs beside the processes: schema, configuration, health, invariants, demo data, menus."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import typer
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.accounts import ChannelAccounts
from loyalty import clock, db, schema, vault
from loyalty.config import ConfigError, Settings
from loyalty.fsck import queries as invariants
from xiaohui import accounts as configured
from xiaohui.first_run import development_secrets
from xiaohui.web import Surroundings, close, surroundings

OK, BROKEN = 0, 1


@asynccontextmanager
async def reached(settings: Settings) -> AsyncIterator[Settings]:
    """`settings` with addresses: as configured, else those of the embedded servers of this data folder,
    which are started for the time being when nobody runs them.

    Raises:
        ConfigError: production without addresses.
        CannotStart: the embedded servers do not start.
    """
    if settings.database_url and settings.redis_url:
        yield _with_secret(settings)
        return
    from xiaohui.embedded.servers import EmbeddedServers

    servers = EmbeddedServers(settings.home)
    known = servers.running()
    if known is not None:
        yield _with_secret(replace(settings, database_url=known.database_url, redis_url=known.redis_url))
        return
    with servers.start(lambda line: typer.secho(f"  · {line}", fg="cyan", err=True)) as running:
        yield _with_secret(replace(settings, database_url=running.database_url, redis_url=running.redis_url))


def _with_secret(settings: Settings) -> Settings:
    if settings.secret is not None or settings.is_production:
        return settings
    return replace(settings, secret=development_secrets(settings.home).secret.encode())


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Settings]:
    async with reached(settings) as ready:
        if ready.database_url is None or ready.secret is None:
            raise ConfigError("XIAOHUI_DATABASE_URL and XIAOHUI_SECRET are needed here")
        vault.unlock(ready.secret)
        await schema.migrate(ready.database_url)
        await db.connect(ready.database_url)
        try:
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
    typer.secho("配置可用 · the configuration can be used", fg="green")
    return OK


@dataclass(frozen=True, slots=True)
class Examination:
    """One thing that is looked at: `look` returns what it found or raises what is wrong."""

    name: str
    advice: str
    look: Callable[[], Awaitable[str]]


async def examine(settings: Settings) -> int:
    """Look at everything, say each verdict, and what to do about the bad ones."""
    try:
        async with reached(settings) as ready:
            results = [await _verdict(examination) for examination in _examinations(ready)]
    except ConfigError as wrong:
        typer.secho(f"  ✗ {wrong}", fg="red")
        return BROKEN
    if all(results):
        typer.secho("一切正常 · everything is fine", fg="green")
        return OK
    typer.secho("有问题需要处理，见上 · something needs attention, see above", fg="red")
    return BROKEN


def _examinations(settings: Settings) -> list[Examination]:
    return [
        Examination(
            "数据库 · database", "检查 XIAOHUI_DATABASE_URL · check XIAOHUI_DATABASE_URL", lambda: _postgres(settings)
        ),
        Examination("结构 · schema", "运行 xiaohui migrate · run xiaohui migrate", lambda: _schema(settings)),
        Examination("Redis", "检查 XIAOHUI_REDIS_URL · check XIAOHUI_REDIS_URL", lambda: _redis(settings)),
        Examination(
            "渠道 · channels", "检查 [[channel.…]] · check the [[channel.…]] tables", lambda: _channels(settings)
        ),
        Examination("待发消息 · outbox", "启动 xiaohui worker · start xiaohui worker", lambda: _outbox(settings)),
        Examination("账本 · ledger", "运行 xiaohui fsck 查看 · run xiaohui fsck to see", lambda: _ledger(settings)),
    ]


async def _verdict(examination: Examination) -> bool:
    try:
        found = await examination.look()
    except Exception as wrong:  # noqa: BLE001 - whatever is wrong is the verdict
        typer.secho(f"  ✗ {examination.name}：{type(wrong).__name__}: {wrong}", fg="red")
        typer.secho(f"    → {examination.advice}", fg="yellow")
        return False
    typer.secho(f"  ✓ {examination.name}：{found}", fg="green")
    return True


class Unhealthy(Exception):
    """An examination found something wrong."""


async def _postgres(settings: Settings) -> str:
    async with _connected(settings):
        version = str(await db.fetch_value("SHOW server_version"))
        skew = abs((clock.wall() - await db.fetch_value("SELECT now()")).total_seconds())
    if skew > 5:  # noqa: PLR2004 - seconds of clock difference that callbacks would notice
        raise Unhealthy(f"the database's clock is {skew:.0f} s away from this machine's")
    return f"PostgreSQL {version}"


async def _schema(settings: Settings) -> str:
    async with _connected(settings):
        missing = await schema.missing()
    if missing:
        raise Unhealthy(f"missing: {', '.join(missing)}")
    return "最新 · at head"


async def _redis(settings: Settings) -> str:
    client = Redis.from_url(settings.redis_url or "", socket_timeout=2, socket_connect_timeout=2)
    try:
        info = await client.info("server")
    except RedisError as wrong:
        raise Unhealthy(str(wrong)) from wrong
    finally:
        await client.aclose()
    return f"{info.get('server_name', 'redis')} {info.get('valkey_version', info.get('redis_version'))}"


async def _channels(settings: Settings) -> str:
    found = configured.read(settings)
    counts = {name: len(getattr(found, name)) for name in ("wechat_oa", "wechat_mini", "wecom", "telegram")}
    if not any(counts.values()):
        if settings.is_production:
            raise Unhealthy("no channel is configured")
        return "沙箱 · sandbox"
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


async def _outbox(settings: Settings) -> str:
    async with _connected(settings):
        if await schema.missing():
            raise Unhealthy("the schema is not at head")
        row = await db.fetch_one(
            "SELECT count(*) AS pending, coalesce(extract(epoch FROM now() - min(due_at)), 0)::bigint AS oldest_s"
            " FROM outbox WHERE status IN ('queued', 'leased') AND due_at <= now()"
        )
    pending, oldest = (row["pending"], row["oldest_s"]) if row else (0, 0)
    if oldest > 300:  # noqa: PLR2004 - five minutes without a sender is a stopped worker
        raise Unhealthy(f"{pending} due, the oldest for {oldest} s")
    return f"{pending} 条待发 · {pending} due"


async def _ledger(settings: Settings) -> str:
    async with _connected(settings):
        broken = [finding.invariant.name async for finding in invariants.check_all(limit=1) if finding.broken]
    if broken:
        raise Unhealthy(", ".join(broken))
    return f"{len(invariants.INVARIANTS)} 条不变量成立 · {len(invariants.INVARIANTS)} invariants hold"


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[None]:
    await db.connect(settings.database_url or "", pool_size=2)
    try:
        # Without a first query a wrong address would only be noticed later.
        await asyncio.wait_for(db.fetch_value("SELECT 1"), timeout=5)
        yield
    finally:
        await db.disconnect()


async def check_invariants(settings: Settings) -> int:
    """Check every invariant on live data; which row breaks which one."""
    status = OK
    async with _database(settings):
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

    async with _database(settings) as ready:
        corp_id = development_secrets(ready.home).keys["corp_id"]
        added = await write(members=members, corp_id=corp_id, seed=seed, now=clock.now())
    typer.secho(f"新增 {added} 位演示会员 · {added} demo members added", fg="green")
    return OK


async def publish_entrances(settings: Settings) -> int:
    """Install menus, commands and webhooks on every configured platform."""
    async with reached(settings) as ready:
        around = await surroundings(ready, configured.read(ready))
        try:
            failed = await publish_all(around)
        finally:
            await close(around)
    return BROKEN if failed else OK


async def publish_all(around: Surroundings, *, only: ChannelAccounts | None = None) -> int:
    """Install the entrances of each channel, or of the accounts in `only`; how many failed."""
    from xiaohui.entrances import publish

    failed = 0
    for name, account, error in await publish(around, only=only):
        if error is None:
            typer.secho(f"  ✓ {name}/{account}", fg="green")
        else:
            failed += 1
            typer.secho(f"  ✗ {name}/{account}：{error}", fg="red")
    return failed
