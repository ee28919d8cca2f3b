"""The folders of the embedded servers: home, data, sockets; who owns them, and that nobody else slipped in first."""

import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from xiaohui.embedded.account import Account
from xiaohui.embedded.refusals import NoPrivateFolder, NotOurs, Unreachable

SOCKET_FOLDER_LIMIT_BYTES = 80
"""A socket path may have 103 bytes (macOS); the longest name put behind the folder has 18."""

ELSEWHERE = Path("/var/lib")
"""Where root keeps data and programs that the unprivileged account could not reach in their own place."""


def make_home(home: Path) -> None:
    """Make the home folder; private for an ordinary user, passable for the servers' account when we are root."""
    if home.is_dir():
        return
    home.mkdir(parents=True)
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)


def data_folder(home: Path, account: Account, progress: Callable[[str], None]) -> Path:
    """Where the data lives: the home itself, or a place the account can reach when the home is closed to it.

    Raises `Unreachable` or `NotOurs` when data is there but not for this account: starting empty would look like loss.
    """
    ticket = home / "servers.id"
    if ticket.exists():
        elsewhere = _elsewhere(home, ticket)
        if not account.demoted:
            raise NotOurs(elsewhere, 0, account.uid)
        return elsewhere
    if account.passes(home):
        return home
    if (home / "postgres").exists():
        raise Unreachable(home / "postgres", account.uid)
    # A random ticket, so that removing the home and starting anew does not bring old data back.
    ticket.write_text(secrets.token_hex(8), encoding="ascii")
    elsewhere = _elsewhere(home, ticket)
    owned_folder(elsewhere, account)
    notice = (
        f"{home} 对低权限用户 {account.uid} 不可达，服务器数据放在 {elsewhere} · "
        f"user id {account.uid} cannot reach {home}; the servers' data is in {elsewhere}"
    )
    (home / "DATA-IS-ELSEWHERE.txt").write_text(notice + "\n", encoding="utf-8")
    progress(notice)
    return elsewhere


def _elsewhere(home: Path, ticket: Path) -> Path:
    # The home's own path is part of the name: a copied home must not share data with its original.
    name = f"{ticket.read_text('ascii')} {home.resolve()}"
    return ELSEWHERE / f"xiaohui-{_digest(name)}"


def owned_folder(folder: Path, account: Account, mode: int = 0o700) -> Path:
    """Make `folder` for `account` alone, or verify that it already is.

    Raises `NotOurs` when something that is not this account's own folder is there.
    """
    try:
        folder.mkdir(mode=mode)
        account.give(folder)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
            raise NotOurs(folder, found.st_uid, account.uid) from None
        folder.chmod(mode)
    return folder


def socket_folder(home: Path, account: Account) -> Path:
    """A short private folder for the sockets, the same for every start from this home.

    Raises `NoPrivateFolder` when every candidate is too long, out of reach or somebody else's.
    """
    name = socket_mark(home)
    tried = []
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        folder = parent / name
        tried.append(folder)
        # A comma separates hosts in database addresses and folders in PostgreSQL's setting.
        if len(os.fsencode(folder)) > SOCKET_FOLDER_LIMIT_BYTES or "," in str(folder) or not account.passes(parent):
            continue
        try:
            return owned_folder(folder, account)
        except (NotOurs, OSError):
            continue
    raise NoPrivateFolder(tried)


def socket_mark(home: Path) -> str:
    """The name of the socket folder; it is in the command line of every server of this home and of no other."""
    return f"xiaohui-{os.geteuid()}-{_digest(str(home.resolve()))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
