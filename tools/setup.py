"""Makes `.venv` hold exactly what the lock file says, and this checkout as an editable install.

Called by `setup.sh` with the stamp to leave behind; only the standard library is there at this point.
"""

import fcntl
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup.stamp"
LOG = VENV / "setup.log"
LOCK = ROOT / "requirements-dev.lock"
CHECK = "import pip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"


def main(wanted: str) -> int:
    """Set up under a lock, so that two calls at once do not step on each other; returns the exit status."""
    with Path(__file__).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("另一个 setup 正在进行，等它完成…", "another setup is at work, waiting for it…")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if STAMP.exists() and STAMP.read_text(encoding="utf-8").strip() == wanted.strip() and usable():
            return 0
        return set_up(wanted)


def set_up(wanted: str) -> int:
    """Create what is missing; the stamp comes last, so an interrupted setup is simply continued by the next."""
    begin = time.monotonic()
    if not make_room(wanted.splitlines()[0]):
        return 1
    STAMP.unlink(missing_ok=True)
    if not usable():
        VENV.mkdir(exist_ok=True)
        LOG.touch()
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        say(f"用 Python {version} 创建 .venv …", f"creating .venv with Python {version} …")
        subprocess.run([sys.executable, "-I", "-m", "venv", str(VENV)], check=True)
    total = len(re.findall(r"^[a-z0-9].*==", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    say(f"安装 {total} 个锁定版本的依赖 …", f"installing {total} locked dependencies …")
    # The lock file is complete, so nothing is left to resolve; byte code made at first import saves ten seconds here.
    locked = ("--no-deps", "--no-compile", "--require-hashes", "-r", LOCK.name)
    project = ("--no-deps", "--no-compile", "--no-build-isolation", "--editable", ".")
    if not (pip_install(locked, total) and pip_install(project, 1)):
        return 1
    STAMP.write_text(wanted + "\n", encoding="utf-8")
    took = time.monotonic() - begin
    say(f"环境已就绪（{took:.0f} 秒）。", f"ready ({took:.0f} s).")
    return 0


def make_room(here: str) -> bool:
    """Remove our own environment when it is of no use here (moved, or its Python is gone); never somebody else's."""
    if not VENV.exists():
        return True
    ours = STAMP.exists() or LOG.exists()
    moved = STAMP.exists() and STAMP.read_text(encoding="utf-8").splitlines()[0] != here
    if usable() and not moved:
        return True
    if ours or not any(VENV.iterdir()):
        say("原有的 .venv 在这里不可用，重新创建。", "the existing .venv cannot be used here; making a new one.")
        shutil.rmtree(VENV)
        return True
    say(
        f"{VENV} 不是 make setup 建立的，而且其中没有可用的 Python 3.11–3.13。请把它移走后重试。",
        f"{VENV} was not made by make setup and has no working Python 3.11 to 3.13. Move it away and try again.",
    )
    return False


def usable() -> bool:
    """Whether the environment is whole: a Python that runs and suits, with pip."""
    try:
        return subprocess.run([str(PYTHON), "-I", "-c", CHECK], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def pip_install(what: tuple[str, ...], total: int) -> bool:
    """Run pip, show how far it is, keep its words in the log; False, with an explanation, when it fails."""
    command = [str(PYTHON), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", *what]
    seen = 0
    with LOG.open("a", encoding="utf-8") as log:
        pip = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in pip.stdout or ():
            log.write(line)
            found = re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line)
            if found:
                seen += 1
                show(f"  [{seen}/{total}] {found[1]}")
            elif line.startswith("Installing collected packages"):
                show(f"  [{total}/{total}] 写入 .venv … · writing into .venv …")
        status = pip.wait()
    show("", last=True)
    if status == 0:
        return True
    print("\n".join(LOG.read_text(encoding="utf-8").splitlines()[-15:]), file=sys.stderr)
    say(
        f"安装失败，完整日志：{LOG}。如果是网络问题：设置代理，或用 PIP_INDEX_URL 指向可用的镜像，再执行一次即可继续。",
        f"installation failed; the full log is {LOG}. If it is the network: set a proxy, or point PIP_INDEX_URL at a "
        f"mirror you can reach, and run it again; it continues where it stopped.",
    )
    return False


def show(progress: str, *, last: bool = False) -> None:
    """One line that rewrites itself on a terminal; elsewhere every line stays."""
    if not sys.stdout.isatty():
        if progress:
            print(progress, flush=True)
        return
    width = shutil.get_terminal_size().columns - 1
    print(f"\r\033[K{progress[:width]}", end="\r" if last else "", flush=True)


def say(chinese: str, english: str) -> None:
    """Tell the person at the terminal, in both languages."""
    print(f"{chinese} · {english}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        show("", last=True)
        say("已中断；再执行一次会从这里继续。", "interrupted; run it again and it continues from here.")
        sys.exit(130)
