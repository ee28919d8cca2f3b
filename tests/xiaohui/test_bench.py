"""The benchmark runs end to end and says 1 when an answer was wrong; a slow machine is no failure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loyalty import db
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries
from loyalty.ledger.service import Asset
from tests.conftest import Servers
from tests.loyalty.people import NOW
from xiaohui.bench import command, growth, members
from xiaohui.bench.command import Results
from xiaohui.bench.load import Report

CHECKOUT = Path(__file__).resolve().parents[2]
# The load is signed with a token that the measured process does not know.
FORGED = """
import dataclasses, sys
from xiaohui.bench import prepared
prepared.ACCOUNT = dataclasses.replace(prepared.ACCOUNT, token="another")
from xiaohui.cli import main
main()
"""


def bench(servers: Servers, *arguments: str, script: str | None = None) -> "subprocess.CompletedProcess[str]":
    """`xiaohui bench` for half a second on the tests' servers."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("XIAOHUI_")},
        "XIAOHUI_DATABASE_URL": servers.database_url,
        "XIAOHUI_REDIS_URL": servers.redis_url,
    }
    start = ["-c", script] if script else ["-m", "xiaohui"]
    return subprocess.run(
        [sys.executable, *start, "bench", *arguments, "--seconds", "0.5", "--connections", "4", "--json"],
        env=environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def report(statuses: dict[str, int], *, failed: int = 0) -> Report:
    return Report(
        requests=10,
        seconds=10.0,
        per_second=1.0,
        p50_ms=1.0,
        p99_ms=2.0,
        max_ms=3.0,
        statuses=statuses,
        failed=failed,
        exhausted=False,
    )


def test_a_short_run_measures_and_is_content(servers: Servers) -> None:
    ended = bench(servers, "ledger", "--members", "500")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    rows = {"ledger", "ledger, from callers", "ledger, one by one", "ledger, pgbench", "ledger, plain ORM"}
    assert {name: report["per_second"] > 0 for name, report in document["reports"].items()} == dict.fromkeys(rows, True)
    assert document["ratios"].keys() == {"ledger, one by one", "ledger, pgbench", "ledger, plain ORM"}
    assert document["problems"] == document["missing"] == []


@pytest.mark.parametrize(("ci", "problems"), [("", []), ("1", ["pgbench"])])
def test_a_missing_yardstick_is_wrong_where_everything_has_to_be_there(
    monkeypatch: pytest.MonkeyPatch, ci: str, problems: list[str]
) -> None:
    monkeypatch.setenv("XIAOHUI_CI", ci)
    results = Results(missing=["pgbench"])
    command._conclude(results)
    assert results.problems == problems


def test_what_is_below_what_was_asked_is_said() -> None:
    results = Results(ratios={"check-in": 0.09, "read": 0.26})
    command._conclude(results)
    assert results.shortfalls == ["check-in: 0.09 is below the asked 0.10"]


@pytest.mark.usefixtures("database")
async def test_the_history_of_a_grown_ledger_is_whole() -> None:
    await growth.fill(7, 6, now=NOW)
    assert await db.fetch_value("SELECT count(*) FROM ledger_entry") == 7 * (6 * growth.ROUND + 1)
    assert [finding.broken async for finding in fsck.check_all() if finding.broken] == []
    shown = (await queries.statement(3, Asset.POINTS, limit=4)).movements
    assert [(one.delta, one.balance) for one in shown][1:] == [(-20, 0), (10, 20), (10, 10)]


def test_a_ledger_with_a_past_is_measured(servers: Servers) -> None:
    ended = bench(servers, "ledger", "--growth", "--sizes", "300")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["reports"].keys() == {"ledger of 300"}
    assert document["ratios"]["ledger of 300"] == 1.0


def test_wrong_answers_are_status_1(servers: Servers) -> None:
    ended = bench(servers, "check-in", script=FORGED)
    assert ended.returncode == 1, ended.stderr
    problems = json.loads(ended.stdout)["problems"]
    assert any("403" in problem for problem in problems)


def test_an_unknown_measurement_is_a_wrong_command(servers: Servers) -> None:
    ended = bench(servers, "checkin")
    assert ended.returncode == 2
    assert "check-in" in ended.stderr


@pytest.mark.parametrize(
    ("found", "problems"),
    [
        (report({"200": 10}), 0),
        (report({"200": 9, "201": 1}), 0),
        (report({"200": 9, "500": 1}), 1),
        (report({"200": 9, "409": 1}), 1),
        (report({"200": 9}, failed=1), 1),
    ],
)
def test_only_answers_of_success_are_right(found: Report, problems: int) -> None:
    results = Results(reports={"echo": {"per_second": 2.0}})
    command._record(results, "read", found)
    assert len(results.problems) == problems
    assert results.ratios == {"read": 0.5}


@pytest.mark.usefixtures("database")
async def test_claims_and_tills_are_prepared_side_by_side() -> None:
    """`bench all` measures both on one database."""
    tokens, template = await members.with_template(3, stock=6)
    keys, people = await members.at_tills(4, tills=2)
    assert (len(tokens), len(keys), len(people)) == (3, 2, 4)
    assert await members.coupons_of(template) == 0
    assert await db.fetch_value("SELECT count(*) FROM coupon") == 4
