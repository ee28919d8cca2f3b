"""Same `Idempotency-Key`, same answer: the reservation and the answer are one inbox row per caller and key.

The row is written in the transaction of the effect, so there is no moment in which one exists without the
other; concurrent repeats wait on the row's unique index. Answers may speak of a person and are sealed.
"""

import hashlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from loyalty import vault
from loyalty.inbox import service as inbox

SOURCE: Final = "api"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered: status, body and the body's type."""

    status: int
    body: bytes
    content_type: str = "application/json"
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A key as one caller uses it: `name` is unique per caller, `fingerprint` covers method, path and body."""

    name: str
    fingerprint: str
    operation: str

    @property
    def operation_key(self) -> str:
        """64 hex digits for verbs that keep a key of their own, shorter than a caller's may be."""
        return hashlib.sha256(self.name.encode()).hexdigest()


def claimed(caller: str, key: str, *, operation: str, path: str, body: bytes) -> Claimed:
    """The key `key` of `caller` for exactly this request."""
    content = b"\0".join((operation.encode(), path.encode(), body))
    return Claimed(
        name=f"{caller}:{key}",
        fingerprint=hashlib.sha256(content).hexdigest(),
        operation=operation[:40],
    )


async def first_answer(claim: Claimed, *, now: datetime) -> Answer | None:
    """None for the first request with this key, which must `keep` its answer; else that answer.

    Raises:
        inbox.KeyReused: the key belongs to another request.
    """
    reservation = await inbox.reserve(SOURCE, claim.name, kind=claim.operation, now=now)
    return None if isinstance(reservation, inbox.First) else opened(claim, reservation.answer)


async def keep(claim: Claimed, answer: Answer) -> None:
    """Store the answer that every repeat will get."""
    await inbox.keep_answer(SOURCE, claim.name, sealed(claim, answer))


def sealed(claim: Claimed, answer: Answer) -> dict[str, object]:
    """`answer` as the inbox keeps it."""
    envelope = vault.seal(answer.body, context=_context(claim))
    return {
        "fingerprint": claim.fingerprint,
        "status": answer.status,
        "type": answer.content_type,
        "sealed": b64encode(envelope).decode(),
    }


def opened(claim: Claimed, kept: Any) -> Answer:
    """The answer that `sealed` stored.

    Raises:
        inbox.KeyReused: it was given to another request.
    """
    if kept is None or kept["fingerprint"] != claim.fingerprint:
        raise inbox.KeyReused
    body = vault.unseal(b64decode(kept["sealed"]), context=_context(claim))
    return Answer(status=kept["status"], body=body, content_type=kept["type"], replayed=True)


def _context(claim: Claimed) -> str:
    return f"inbox/{SOURCE}/{claim.name}"
