"""The front door: one command, each with a clear verdict and exit status.

Exit status: 0 done, 1 a check failed or something broke, 2 the command or configuration is wrong, 3 another
instance is running.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from loyalty.config import ConfigError, Settings, load

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="小惠 Xiaohui：聊天里的会员系统 · membership in the chat",
)
demo = typer.Typer(no_args_is_help=True, help="演示数据 · demo data")
channels = typer.Typer(no_args_is_help=True, help="渠道 · channels")
app.add_typer(demo, name="demo")
app.add_typer(channels, name="channels")
draws = typer.Typer(no_args_is_help=True, help="抽奖 · draws")
app.add_typer(draws, name="draws")
audit = typer.Typer(no_args_is_help=True, help="审计链 · the chain over the audit trail")
app.add_typer(audit, name="audit")

CONFIGURATION: Final = 2

Measured = Literal["all", "echo", "check-in", "claim", "checkout", "read", "ledger"]
Workers = Annotated[int, typer.Option(min=1, max=64, help="进程数 · processes")]


def main() -> None:
    """Run the command line; a wrong configuration is one plain sentence, not a traceback."""
    from xiaohui.embedded.refusals import CannotStart

    try:
        app()
    except ConfigError as wrong:
        typer.secho(f"配置错误 · configuration: {wrong}", err=True, fg="red")
        sys.exit(CONFIGURATION)
    except CannotStart as refusal:
        typer.secho(str(refusal), err=True, fg="red")
        sys.exit(refusal.exit_status)


def _run(work: Callable[[], Coroutine[Any, Any, int]]) -> None:
    import uvloop

    raise typer.Exit(uvloop.run(work()))


def _finish(work: Coroutine[Any, Any, int]) -> None:
    from xiaohui.fitness import in_words

    raise typer.Exit(asyncio.run(in_words(work)))


def _settings() -> Settings:
    from xiaohui import logs

    settings = load()
    logs.configure(level=settings.log_level, as_json=settings.is_production)
    return settings


@app.command()
def run() -> None:
    """全部在一个进程里启动：内置数据库、沙箱、演示数据 · everything in one process, with the sandbox."""
    from xiaohui.all_in_one import run_all

    raise typer.Exit(run_all(_settings()))


@app.command()
def web(workers: Workers = 1) -> None:
    """网页与回调进程（生产）· the production web process."""
    from xiaohui.production import serve_web

    raise typer.Exit(serve_web(_settings(), workers=workers))


@app.command()
def worker() -> None:
    """定时与发送进程（生产）· the production worker process."""
    from xiaohui.production import serve_worker

    settings = _settings()
    _run(lambda: serve_worker(settings))


@app.command()
def migrate() -> None:
    """更新数据库结构 · bring the schema to this version."""
    from xiaohui.operations import migrate_schema

    settings = _settings()
    _finish(migrate_schema(settings))


@app.command()
def check() -> None:
    """检查配置 · check the configuration without touching anything."""
    from xiaohui.operations import check_configuration

    raise typer.Exit(check_configuration(load()))


@app.command()
def doctor() -> None:
    """体检：数据库、Redis、结构、渠道 · look at everything this installation needs and say what is wrong."""
    from xiaohui.doctor import examine

    settings = load()
    raise typer.Exit(asyncio.run(examine(settings)))


@app.command()
def fsck() -> None:
    """核对账本不变量 · check the invariants on live data and name the rows that break them."""
    from xiaohui.operations import check_invariants

    settings = load()
    _finish(check_invariants(settings))


@demo.command("seed")
def demo_seed(
    members: Annotated[int, typer.Option(min=1, max=10_000_000, help="会员数 · how many members")] = 200,
    seed: Annotated[int, typer.Option(help="随机种子 · same seed, same data")] = 1,
) -> None:
    """写入可信的演示数据，同一种子结果相同 · believable demo data, deterministic."""
    from xiaohui.operations import seed_demo

    settings = _settings()
    _finish(seed_demo(settings, members=members, seed=seed))


@channels.command("publish")
def channels_publish() -> None:
    """把菜单、命令与回调地址装到各平台 · install menus, commands and webhooks on the platforms."""
    from xiaohui.entrances import publish_entrances

    settings = _settings()
    _finish(publish_entrances(settings))


@draws.command("verify")
def draws_verify(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="每天一个 JSON · one JSON per day")],
) -> None:
    """用公布的数据把抽奖重新算一遍 · compute published days of a draw again, from the files alone."""
    from xiaohui.draws import verify

    raise typer.Exit(verify(files))


@audit.command("verify")
def audit_verify(
    heads: Annotated[
        list[str] | None, typer.Option("--head", help="库外留存的链头 position:hash · a head kept outside")
    ] = None,
) -> None:
    """核对审计链，指出被改动的记录 · check the chain over the audit trail and name the entries that do not fit."""
    from xiaohui.audit import heads_of, verify

    kept = heads_of(heads or [])
    _finish(verify(load(), kept))


@audit.command("head")
def audit_head() -> None:
    """打印链头与每日链头，请留存到库外 · print the heads of the chain, to keep outside of the database."""
    from xiaohui.audit import show_heads

    _finish(show_heads(load()))


def _whole_numbers(text: str) -> list[int]:
    try:
        return sorted(int(part) for part in text.split(","))
    except ValueError as wrong:
        raise typer.BadParameter("100000,1000000") from wrong


@app.command()
def bench(
    what: Annotated[Measured, typer.Argument()] = "all",
    seconds: Annotated[float, typer.Option(min=0.5, help="每项时长 · seconds per measurement")] = 6.0,
    connections: Annotated[int, typer.Option(min=1, max=1024)] = 128,
    processes: Annotated[int, typer.Option(min=1, max=64, help="被测进程数 · processes measured, the echo's too")] = 1,
    members: Annotated[int, typer.Option(min=100, help="账本里的会员数 · members of the ledger")] = 100_000,
    sizes: Annotated[str, typer.Option(help="--growth 的分录数 · entries to grow to")] = "100000,1000000,10000000",
    *,
    growth: Annotated[
        bool, typer.Option("--growth", help="账本变大后的单笔代价 · the cost of a growing ledger")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="只输出 JSON · JSON only")] = False,
) -> None:
    """同一次运行里的基准与比例 · benchmarks and their ratios, in one run."""
    from xiaohui.bench.command import Run, measure, measure_growth

    run = Run(seconds=seconds, connections=connections, processes=processes, members=members)
    if growth:
        if what != "ledger":
            raise typer.BadParameter("--growth: bench ledger --growth")
        raise typer.Exit(measure_growth(load(), run, _whole_numbers(sizes), as_json=as_json))
    raise typer.Exit(measure(load(), run, what=what, as_json=as_json))
