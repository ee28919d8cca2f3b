"""The arithmetic of a verifiable draw, from published values only. Pure, standard library alone.

Before the first draw: the document's SHA-256 and, for each day, the SHA-256 of a secret seed (commitment).
Each draw: roll = HMAC-SHA256(seed, "code|day|serial|nonce|n"), its first 8 bytes as a number, taken modulo the
total weight; numbers from the last, incomplete round are thrown away and n counts on, so that no prize is
favoured. `serial` counts the day's draws from 1, `nonce` comes from the member. A prize that has run out is
replaced by the fallback. Each record is chained to the one before it; the member's receipt holds the link.
After the day: the seed and every record. Whoever has them computes the day again (`check`).
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

SEED_BYTES: Final = 32
_RANGE: Final = 2**64
NONCE_LENGTH_MAX: Final = 128


def commitment(seed: bytes) -> str:
    """What is published of a seed before its day."""
    return hashlib.sha256(seed).hexdigest()


def roll(seed: bytes, *, code: str, day: str, serial: int, nonce: str, total: int) -> int:
    """The number drawn, in [0, total), each equally likely."""
    limit = _RANGE - _RANGE % total
    attempt = 0
    while True:
        message = f"{code}|{day}|{serial}|{nonce}|{attempt}".encode()
        number = int.from_bytes(hmac.digest(seed, message, "sha256")[:8], "big")
        if number < limit:
            return number % total
        attempt += 1


def sector(weights: Sequence[int], number: int) -> int:
    """The place of the prize whose share of [0, total) holds `number`."""
    for place, weight in enumerate(weights):
        if number < weight:
            return place
        number -= weight
    raise ValueError("the number is below the total weight")


def link(previous: str, *, serial: int, nonce: str, rolled: int, prize: str) -> str:
    """The chained fingerprint of one record."""
    return hashlib.sha256(f"{previous}|{serial}|{nonce}|{rolled}|{prize}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Drawn:
    """One result as the seed decides it."""

    serial: int
    nonce: str
    rolled: int
    prize: str
    link: str


class Day:
    """A day's draws in order; `left` counts down what each limited prize still has."""

    def __init__(
        self, document: Mapping[str, Any], *, day: str, seed: bytes, left: dict[str, int], head: str, serial: int = 0
    ) -> None:
        self.prizes = [str(prize["code"]) for prize in document["prizes"]]
        self.weights = [int(prize["weight"]) for prize in document["prizes"]]
        self.code, self.fallback = str(document["code"]), str(document["fallback"])
        self.day, self.seed, self.left = day, seed, left
        self.head, self.serial = head, serial

    def next(self, nonce: str) -> Drawn:
        """Draw once more."""
        self.serial += 1
        rolled = roll(self.seed, code=self.code, day=self.day, serial=self.serial, nonce=nonce, total=sum(self.weights))
        prize = self.prizes[sector(self.weights, rolled)]
        if self.left.get(prize, 1) <= 0:
            prize = self.fallback
        if prize in self.left:
            self.left[prize] -= 1
        self.head = link(self.head, serial=self.serial, nonce=nonce, rolled=rolled, prize=prize)
        return Drawn(self.serial, nonce, rolled, prize, self.head)


def check(published: Mapping[str, Any]) -> Iterator[str]:
    """What does not hold in one day's publication; nothing at all when everything does.

    Raises:
        KeyError, ValueError, TypeError: it is not such a publication.
    """
    document, day = published["document"], published["day"]
    if published["rules_sha256"] != hashlib.sha256(document.encode()).hexdigest():
        yield "document: it is not the one whose SHA-256 was published"
    if published["seed"] is None:
        yield "seed: it is not revealed before the day is over"
        return
    seed = bytes.fromhex(published["seed"])
    if commitment(seed) != published["commitment"]:
        yield "seed: it does not match the commitment published before the day"
    rules = json.loads(document)
    left = {prize: int(count) for prize, count in published["left_before"].items()}
    again = Day(rules, day=day, seed=seed, left=left, head=published["commitment"])
    for record in published["records"]:
        yield from _differences(again.next(record["nonce"]), record)
    if again.head != published["head"]:
        yield "head: the chain of records does not end where it was published to end"
    if again.left != {prize: int(count) for prize, count in published["left_after"].items()}:
        yield "left_after: what was left of the prizes does not follow from the records"


def _differences(right: Drawn, record: Mapping[str, Any]) -> Iterator[str]:
    expected = {"serial": right.serial, "rolled": right.rolled, "prize": right.prize, "link": right.link}
    for name, value in expected.items():
        if record[name] != value:
            yield f"record {right.serial}: {name} is {record[name]}, the seed says {value}"


def check_days(days: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """`check` of several days of one draw, and that each begins with what the one before it left."""
    ordered = sorted(days, key=lambda published: str(published["day"]))
    for published in ordered:
        yield from (f"{published['day']}: {finding}" for finding in check(published))
    for earlier, later in pairwise(ordered):
        if earlier["rules_sha256"] != later["rules_sha256"]:
            yield f"{later['day']}: document: the rules changed since {earlier['day']}"
        if earlier["left_after"] != later["left_before"]:
            yield f"{later['day']}: left_before: it is not what {earlier['day']} left"
