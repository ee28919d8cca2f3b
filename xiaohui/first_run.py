"""What a first start in development needs and a deployment must bring itself: secrets and sandbox accounts.

They are random, written once into the data folder with owner-only permissions, and read again later, so
that state survives a restart. Production never reads this file.
"""

import base64
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = "development.json"


@dataclass(frozen=True, slots=True)
class DevelopmentSecrets:
    """The root secret and the keys of the sandbox accounts."""

    secret: str
    keys: dict[str, str]


def development_secrets(home: Path) -> DevelopmentSecrets:
    """The secrets of this data folder, made on the first start."""
    path = home / FILE
    if path.exists():
        return DevelopmentSecrets(**json.loads(path.read_text(encoding="utf-8")))
    home.mkdir(parents=True, exist_ok=True)
    _write_private(path, asdict(DevelopmentSecrets(secret=secrets.token_hex(32), keys=_keys())))
    return DevelopmentSecrets(**json.loads(path.read_text(encoding="utf-8")))


def _keys() -> dict[str, str]:
    def aes_key() -> str:
        return base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")

    keys = {f"{name}_aes_key": aes_key() for name in ("oa", "mini", "wecom")}
    keys |= {f"{name}_token": secrets.token_hex(8) for name in ("oa", "mini", "wecom")}
    keys |= {f"{name}_secret": secrets.token_hex(16) for name in ("oa", "mini", "wecom")}
    keys |= {"oa_app_id": _app_id(), "mini_app_id": _app_id(), "corp_id": "ww" + secrets.token_hex(8)}
    bot_number = 10**9 + secrets.randbelow(10**9)
    return keys | {
        "bot_token": f"{bot_number}:{secrets.token_urlsafe(26)}",
        "webhook_secret": secrets.token_urlsafe(24),
        "sms_key": secrets.token_urlsafe(24),
    }


def _app_id() -> str:
    return "wx" + secrets.token_hex(8)


def _write_private(path: Path, document: dict[str, Any]) -> None:
    """Write `path` whole, unless another first start was faster: there is one set of secrets per data folder."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(document, indent=2), encoding="utf-8")
    with suppress(FileExistsError):
        path.hardlink_to(part)
    part.unlink()
