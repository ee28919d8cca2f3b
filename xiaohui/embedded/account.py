"""Which account the servers run as, and what that account can reach."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from xiaohui.embedded.refusals import CannotDemote, NotOurs


@dataclass(frozen=True)
class Account:
    """The user the servers run as. `demoted` says that we are root and hand everything over to it."""

    uid: int
    gid: int
    demoted: bool

    def give(self, path: Path) -> None:
        """Hand `path` itself (not what is below it) to this account, where we are root.

        Raises `CannotDemote` where root may not do that, as in some containers.
        """
        if not self.demoted:
            return
        try:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        except OSError as refusal:
            raise CannotDemote(self.uid, refusal.strerror or str(refusal)) from refusal

    def passes(self, folder: Path) -> bool:
        """Whether this account can go through `folder` and every folder above it; by mode bits, not by access lists."""
        if not self.demoted:
            return os.access(folder, os.X_OK)
        resolved = folder.resolve()
        return all(self._allowed(step, 0o1) for step in (resolved, *resolved.parents))

    def executes(self, program: Path) -> bool:
        """Whether this account can read and execute `program` where it lies."""
        if not self.demoted:
            return os.access(program, os.R_OK | os.X_OK)
        resolved = program.resolve()
        return self.passes(resolved.parent) and self._allowed(resolved, 0o5)

    def _allowed(self, path: Path, wanted: int) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return (found.st_mode >> shift) & wanted == wanted


def account_for(home: Path) -> Account:
    """Ourselves; when we are root, whoever owns the data already, or nobody.

    Raises `NotOurs` when the data belongs to somebody else and we are not root.
    """
    data = home / "postgres"
    owner = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise NotOurs(data, owner.st_uid, os.geteuid())
        return Account(os.geteuid(), os.getegid(), demoted=False)
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, demoted=True)
    return nobody()


def nobody() -> Account:
    """The unprivileged account of this machine, since PostgreSQL refuses to run as root."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65534, 65534, demoted=True)
    return Account(entry.pw_uid, entry.pw_gid, demoted=True)


def has_name(uid: int) -> bool:
    """Whether the machine's list of users knows `uid`."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
