"""`xiaohui draws verify`: compute published days of a draw again. Needs the files and nothing else."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import typer

from loyalty.draws import proof

HOLDS, BROKEN, UNREADABLE = 0, 1, 2
FINDINGS_SHOWN: Final = 20


def verify(files: Sequence[Path]) -> int:
    """Say what does not hold in the days of `files`; the exit status."""
    days: list[Mapping[str, Any]] = []
    for file in files:
        try:
            days.append(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as broken:
            return _unreadable(file, broken)
    try:
        findings = list(proof.check_days(days))
    except (KeyError, ValueError, TypeError) as broken:
        return _unreadable(files[0], broken)
    return _verdict(days, findings)


def _unreadable(file: Path, broken: Exception) -> int:
    typer.secho(f"不是抽奖记录 · not a record of a draw: {file.name} ({type(broken).__name__})", err=True, fg="red")
    return UNREADABLE


def _verdict(days: Sequence[Mapping[str, Any]], findings: Sequence[str]) -> int:
    for finding in findings[:FINDINGS_SHOWN]:
        typer.secho(f"  ✗ {finding}", fg="red")
    if findings:
        typer.secho(f"{len(findings)} 处不一致 · {len(findings)} findings", fg="red")
        return BROKEN
    count = sum(len(day["records"]) for day in days)
    typer.secho(
        f"全部一致：{len(days)} 天、{count} 次抽奖 · all of it holds: {len(days)} days, {count} draws", fg="green"
    )
    return HOLDS
