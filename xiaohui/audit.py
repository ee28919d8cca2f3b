"""`xiaohui audit`: checking the chain over the audit trail, and the heads to keep outside of the database."""

from collections.abc import Sequence

import typer

from loyalty.audit import chain
from loyalty.audit.chain import Head
from loyalty.config import Settings
from xiaohui.operations import database

HOLDS, BROKEN = 0, 1


def heads_of(texts: Sequence[str]) -> list[Head]:
    """The heads that somebody kept and typed.

    Raises:
        BadParameter: one is not of the form position:hash.
    """
    heads: list[Head] = []
    for text in texts:
        position, _, kept = text.partition(":")
        if not position.isdecimal() or len(kept) != len(chain.BEFORE_ALL):
            raise typer.BadParameter("position:hash")
        heads.append(Head(int(position), kept.lower()))
    return heads


async def verify(settings: Settings, kept: Sequence[Head]) -> int:
    """Say what does not fit the chain, and which of the kept heads it does not know; the exit status."""
    async with database(settings):
        findings = await chain.broken()
        findings += [f"head {each.position}:{each.hash} is not in the chain" for each in await chain.foreign(kept)]
        head, waiting = await chain.head(), await chain.waiting()
    for finding in findings:
        typer.secho(f"  ✗ {finding}", fg="red")
    if findings:
        typer.secho(f"{len(findings)} 处不一致 · {len(findings)} findings", fg="red")
        return BROKEN
    position = head.position if head is not None else 0
    typer.secho(
        f"审计链完整：{position} 条已入链，{waiting} 条待入链 · the chain holds: {position} sealed, {waiting} waiting",
        fg="green",
    )
    return HOLDS


async def show_heads(settings: Settings) -> int:
    """Print the head and those of past days, one `day position:hash` a line."""
    async with database(settings):
        days, head = await chain.days(), await chain.head()
    for day in reversed(days):
        typer.echo(f"{day.day.isoformat()} {day.position}:{day.hash}")
    if head is not None:
        typer.echo(f"now        {head.position}:{head.hash}")
    return HOLDS
