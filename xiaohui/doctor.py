"""`xiaohui doctor`: look at everything that this installation needs, a verdict and an advice each."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import typer
from redis.asyncio import Redis
from redis.exceptions import RedisError

from loyalty import clock, db, schema, vault
from loyalty.config import ConfigError, Settings
from loyalty.fsck import queries as invariants
from loyalty.members import queries as members
from loyalty.outbox import queries as outbox
from xiaohui import accounts as configured
from xiaohui.addresses import reached
from xiaohui.embedded.servers import EmbeddedServers

OK: Final = 0
BROKEN: Final = 1
DATABASE_WITHIN_S: Final = 5
# Callbacks are refused when their time is 300 s off; people notice less.
SKEW_MAX_S: Final = 5
# Five minutes without a sender is a stopped worker.
WAITED_MAX_S: Final = 300
WORKER_WITHIN_S: Final = 3.0


class Unhealthy(Exception):
    """An examination found something wrong."""


@dataclass(frozen=True, slots=True)
class Examination:
    """One thing that is looked at: `look` returns what it found or raises what is wrong. What `needs` the database
    or its schema is not looked at without."""

    name: str
    advice: str
    look: Callable[[], Awaitable[str]]
    needs: tuple[str, ...] = ()


DATABASE: Final = "数据库 · database"
SCHEMA: Final = "结构 · schema"


async def examine(settings: Settings) -> int:
    """Look at everything, say each verdict, and what to do about the bad ones."""
    servers = EmbeddedServers(settings.home)
    own = not (settings.database_url and settings.redis_url)
    if own and not (settings.home / "servers.lock").exists():
        typer.secho("  ✗ 小惠还没有在这里启动过 · Xiaohui was never started here", fg="red")
        typer.secho("    → make run", fg="yellow")
        return BROKEN
    idle = own and servers.running() is None
    async with reached(settings) as ready:
        wrong = await _look_at(_examinations(ready, idle=idle), ready)
    if not wrong:
        typer.secho("一切正常 · everything is fine", fg="green")
        return OK
    typer.secho("有问题需要处理，见上 · something needs attention, see above", fg="red")
    return BROKEN


def _examinations(settings: Settings, *, idle: bool) -> list[Examination]:
    both = (DATABASE, SCHEMA)
    worker = "启动 xiaohui worker · start xiaohui worker"
    return [
        Examination(
            DATABASE, "检查 XIAOHUI_DATABASE_URL 与服务器 · check XIAOHUI_DATABASE_URL and the server", _postgres
        ),
        Examination(SCHEMA, "运行 xiaohui migrate · run xiaohui migrate", _schema, (DATABASE,)),
        Examination(
            "密钥 · secret",
            "改回写入数据时的 XIAOHUI_SECRET · set the XIAOHUI_SECRET that the data was written with",
            lambda: _secret(settings),
            both,
        ),
        Examination(
            "Redis",
            "检查 XIAOHUI_REDIS_URL 与服务器 · check XIAOHUI_REDIS_URL and the server",
            lambda: _redis(settings),
        ),
        Examination(
            "渠道 · channels", "检查 [[channel.…]] · check the [[channel.…]] tables", lambda: _channels(settings)
        ),
        Examination("工作进程 · worker", worker, lambda: _worker(settings, idle=idle)),
        Examination("待发消息 · outbox", worker, lambda: _outbox(idle=idle), both),
        Examination("账本 · ledger", "运行 xiaohui fsck 查看 · run xiaohui fsck to see", _ledger, both),
    ]


async def _look_at(examinations: list[Examination], settings: Settings) -> set[str]:
    """The names of what is wrong."""
    wrong: set[str] = set()
    await db.connect(settings.database_url or "", pool_size=2)
    try:
        for examination in examinations:
            if wrong.intersection(examination.needs):
                typer.secho(f"  – {examination.name}：未检查 · not looked at", fg="yellow")
            elif not await _is_well(examination):
                wrong.add(examination.name)
    finally:
        await db.disconnect()
    return wrong


async def _is_well(examination: Examination) -> bool:
    try:
        found = await examination.look()
    except (Unhealthy, ConfigError) as wrong:
        said = str(wrong)
    except Exception as wrong:  # noqa: BLE001 - whatever is wrong is the verdict
        said = f"{type(wrong).__name__}: {wrong}"
    else:
        typer.secho(f"  ✓ {examination.name}：{found}", fg="green")
        return True
    typer.secho(f"  ✗ {examination.name}：{said}", fg="red")
    typer.secho(f"    → {examination.advice}", fg="yellow")
    return False


async def _postgres() -> str:
    version = str(await asyncio.wait_for(db.fetch_value("SHOW server_version"), timeout=DATABASE_WITHIN_S))
    skew_s = abs((clock.wall() - await db.fetch_value("SELECT clock_timestamp()")).total_seconds())
    if skew_s > SKEW_MAX_S:
        raise Unhealthy(f"它的时钟与本机相差 {skew_s:.0f} 秒 · its clock is {skew_s:.0f} s away from this machine's")
    return f"PostgreSQL {version}"


async def _schema() -> str:
    missing = await schema.missing()
    if missing:
        raise Unhealthy(f"缺少 · missing {', '.join(missing)}")
    return "最新 · at head"


async def _secret(settings: Settings) -> str:
    if settings.secret is None:
        raise Unhealthy("没有 XIAOHUI_SECRET · XIAOHUI_SECRET is missing")
    vault.unlock(settings.secret)
    if not await members.data_opens():
        raise Unhealthy("数据是用另一个密钥封存的 · the data was sealed with another one")
    return "能打开数据 · opens the data"


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
    counts = {name: len(getattr(found, name)) for name in configured.SECTIONS}
    if not any(counts.values()):
        if settings.is_production:
            raise Unhealthy("没有配置渠道 · no channel is configured")
        return "沙箱 · sandbox"
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


async def _worker(settings: Settings, *, idle: bool) -> str:
    if idle:
        return "小惠没有在运行 · Xiaohui is not running"
    from scheduler.worker import is_answered

    try:
        answered = await is_answered(settings.redis_url or "", within_s=WORKER_WITHIN_S)
    except (OSError, RedisError) as away:
        return f"没有 Redis 无法询问 · cannot be asked without Redis ({type(away).__name__})"
    if answered:
        return "应答 · answers"
    if settings.is_production:
        raise Unhealthy("没有工作进程应答 · no worker answers")
    return "没有运行，开发时可以 · none runs, which is fine in development"


async def _outbox(*, idle: bool) -> str:
    backlog = await outbox.backlog(now=await db.now())
    if backlog.oldest_age_s > WAITED_MAX_S and not idle:
        raise Unhealthy(
            f"{backlog.due} 条到期未发，最早的已等 {backlog.oldest_age_s:.0f} 秒"
            f" · {backlog.due} due, the oldest for {backlog.oldest_age_s:.0f} s"
        )
    return f"{backlog.due} 条待发 · {backlog.due} due"


async def _ledger() -> str:
    broken = [finding.invariant.name async for finding in invariants.check_all(limit=1) if finding.broken]
    if broken:
        raise Unhealthy(", ".join(broken))
    return f"{len(invariants.INVARIANTS)} 条不变量成立 · {len(invariants.INVARIANTS)} invariants hold"
