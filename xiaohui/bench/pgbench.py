"""pgbench, PostgreSQL's own load generator, with the least SQL that books a point: the yardstick of the ledger.

One call of `yard_book` (`yardstick.sql`) is one transaction, from as many connections as are fastest.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from loyalty import db
from xiaohui.bench import ledger, stage
from xiaohui.bench.ledger import Rate
from xiaohui.bench.stage import Stage
from xiaohui.embedded.engines import find_postgres
from xiaohui.embedded.refusals import EngineMissing

CLIENTS: Final = (8, 16, 32)
"""Whichever of these is fastest on this machine counts."""
SCHEMA: Final = Path(__file__).with_name("yardstick.sql")
_SCRIPT: Final = f"""
\\set member random(1, :members)
\\set die random(1, 10)
\\if :die <= 7
SELECT yard_book(gen_random_uuid(), :member, {ledger.GRANT});
\\else
SELECT yard_book(gen_random_uuid(), :member, -{ledger.SPEND});
\\endif
"""
_MEMBERS: Final = """
WITH lot AS (
    INSERT INTO yard_lot (member_id, remaining, expires_on)
    SELECT number, $2, current_date + 3650 FROM generate_series(1, $1::bigint) AS number
)
INSERT INTO yard_balance (member_id, available) SELECT number, $2 FROM generate_series(1, $1::bigint) AS number
"""
_TPS: Final = re.compile(r"tps = ([0-9.]+)")
_DONE: Final = re.compile(r"transactions actually processed: (\d+)")


def program() -> Path | None:
    """The program of the machine or of the embedded engine; None when there is none."""
    if found := shutil.which("pgbench"):
        return Path(found)
    try:
        beside = find_postgres().postgres.with_name("pgbench")
    except EngineMissing:
        return None
    return beside if beside.exists() else None


async def prepare(members: int) -> None:
    """The yardstick's tables, with as many members and as much to spend as ours."""
    await db.execute(SCHEMA.read_text("utf-8"))
    await db.execute(_MEMBERS, members, ledger.OPENING)
    await db.execute("ANALYZE")


def measure(at: Stage, runs: Path, members: int, *, seconds: float) -> Rate:
    """The best rate over the numbers of clients."""
    script = at.folder / "yardstick.pgbench"
    script.write_text(_SCRIPT, "utf-8")
    each = max(1, round(seconds / len(CLIENTS)))
    rates = [_run(at, runs, script, members, clients, each) for clients in CLIENTS]
    return max(rates, key=lambda rate: rate.per_second)


def _run(at: Stage, runs: Path, script: Path, members: int, clients: int, seconds: int) -> Rate:
    command = [
        str(runs), "--no-vacuum", "--protocol=prepared", f"--client={clients}", "--jobs=2", f"--time={seconds}",
        f"--define=members={members}", f"--file={script}",
    ]  # fmt: skip
    said = subprocess.run(
        command, env={**os.environ, **_address(at)}, check=True, capture_output=True, text=True
    ).stdout
    tps, done = _TPS.search(said), _DONE.search(said)
    if tps is None or done is None:
        raise AssertionError(f"pgbench says how many transactions it did:\n{said}")
    return Rate(per_second=round(float(tps[1]), 1), operations=int(done[1]))


def _address(at: Stage) -> dict[str, str]:
    """Where the database is, as PostgreSQL's own programs are told."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "database": "PGDATABASE"}
    known = stage.credentials(at.database_url)
    return {name: str(known[part]) for part, name in names.items() if known[part] is not None}
