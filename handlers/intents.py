"""What a person means by what they typed: exact commands first, then common phrasings, then "not sure"."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handlers import intent_text

Commands = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Cues:
    """What speaks for one conversation and what against it; one of the topics must be there."""

    topics: tuple[re.Pattern[str], ...]
    weighted: tuple[tuple[float, re.Pattern[str]], ...]

    def score(self, said: str) -> float:
        """How sure they make; 0 without the topic."""
        if not any(topic.search(said) for topic in self.topics):
            return 0.0
        return sum(weight for weight, cue in self.weighted if cue.search(said))


UNSURE: Final = "fallback"
TEXT_LENGTH_MAX: Final = 60
"""Longer texts tell stories; nobody asks for their balance in an essay."""

_SURE: Final = 1.0
_NEAR: Final = 0.45
_NEAREST: Final = 2
_FREE_CHARACTERS: Final = 16
_FREE_WORDS: Final = 8
_PER_CHARACTER: Final = 0.02
_PER_WORD: Final = 0.05

_LINK_CODE: Final = re.compile(
    r"(?:(?:/?link|绑定码|绑定|关联)[\s:]*)(?P<named>[0-9A-Za-z]{4}-?[0-9A-Za-z]{4})|(?P<bare>[0-9A-Z]{4}-[0-9A-Z]{4})"
)
_DIGITS: Final = re.compile(r"\+?\d[\d\s-]{6,24}")
_COUPON_CODE: Final = re.compile(r"(?=.*[A-Za-z])[0-9A-Za-z]{4}-?[0-9A-Za-z]{4}-?[0-9A-Za-z]{4}-?[0-9A-Za-z]")
_COUNT: Final = r"\d[\d\s+-]*"
_REST: Final[Mapping[str, re.Pattern[str]]] = {
    "find": re.compile(rf"\+?{_COUNT}"),
    "register": re.compile(rf"\+?{_COUNT}.*", re.DOTALL),
    "purchase": re.compile(r"[¥¥]?\s*\d+(\.\d+)?\s*(元|块|yuan)?(\s+.*)?", re.DOTALL),
    "redeem": re.compile(r"[0-9A-Za-z -]{8,40}"),
    "hand_over": re.compile(r"[0-9A-Za-z -]{8,40}"),
    "mall_collect": re.compile(r"(mall:)?[0-9A-Za-z -]{8,40}"),
    "mall_ship": re.compile(r"\d{1,18}\s+\S{4,64}"),
    "undo_redeem": re.compile(r"[0-9A-Za-z -]{8,40}(\s+.*)?", re.DOTALL),
    "set_tier": re.compile(r"\S{1,40}\s+\d{1,4}.*", re.DOTALL),
    "refund": re.compile(r"([0-9A-Za-z#/_.-]{1,60})?(\s*¥\s*[\d.]+|\s+[\d.]+)?\s*(元|块|yuan)?"),
    "deduct": re.compile(r"\d+\s*(分|积分|points)?(\s+.*|[^\d.\s].*)?", re.DOTALL),
    "grant": re.compile(r"\d+\s*(分|积分|points)?(\s+.*|[^\d.\s].*)?", re.DOTALL),
}
"""What may stand behind a staff command on the same line."""


@dataclass(frozen=True, slots=True)
class Intent:
    """The conversation meant, what was said beside its name, and whether it was named outright."""

    route: str
    rest: str = ""
    exact: bool = False


def recognise(text: str, *, for_staff: bool) -> Intent:
    """The intent of `text`. Nothing that people type is remembered: names and numbers are among it."""
    if for_staff:
        return _of_staff(unicodedata.normalize("NFKC", text).strip())
    return _of_member(text)


def nearest(text: str) -> tuple[str, ...]:
    """The conversations that an unclear text is closest to, likeliest first, two at most."""
    near = [route for score, route in _scores(text) if score >= _NEAR]
    return tuple(near[:_NEAREST])


def _commands(speaker: str) -> Commands:
    document = tomllib.loads((_FOLDER / "intent_commands.toml").read_text(encoding="utf-8"))
    return {route: tuple(words) for route, words in document[speaker].items()}


def _cues(language: str) -> Mapping[str, Cues]:
    document = tomllib.loads((_FOLDER / "intent_cues.toml").read_text(encoding="utf-8"))
    table = {}
    for route, entry in document[language].items():
        weighted = tuple((float(weight), re.compile(cue)) for weight, cue in entry["cues"])
        table[route] = Cues(tuple(cue for _, cue in weighted[: entry.get("topics", 1)]), weighted)
    return table


def _table(commands: Commands) -> dict[str, str]:
    return {intent_text.squeezed(word): route for route, words in commands.items() for word in words}


_FOLDER: Final = Path(__file__).parent
MEMBER: Final = _commands("member")
STAFF: Final = _commands("staff")
CHINESE: Final = _cues("zh")
ENGLISH: Final = _cues("en")
_MEMBER: Final = _table(MEMBER)
# Most people press what they were shown, or type the very word.
_AS_WRITTEN: Final = {word: Intent(route, exact=True) for route, words in MEMBER.items() for word in words}
_STAFF: Final = _table(STAFF)
# The longest word first: 「查会员 138…」 is not 「查」 of 「会员 138…」.
_STAFF_VERBS: Final = sorted(
    ((word, route) for route, words in STAFF.items() for word in words), key=lambda verb: -len(verb[0])
)


def _of_member(text: str) -> Intent:
    said = text.strip()
    if said in _AS_WRITTEN:
        return _AS_WRITTEN[said]
    if len(said) > TEXT_LENGTH_MAX:
        return Intent(UNSURE, said)
    if found := _LINK_CODE.fullmatch(unicodedata.normalize("NFKC", said)):
        return Intent("link_redeem", found["named"] or found["bare"], exact=True)
    if said in {"?", "？", "??", "？？"}:
        return Intent("help", exact=True)
    spellings = (intent_text.squeezed(said), intent_text.plain(said), intent_text.bare(said))
    route = next((_MEMBER[spelling] for spelling in spellings if spelling in _MEMBER), None)
    if route is None and not intent_text.is_chinese(said):
        route = _MEMBER.get(intent_text.squeezed(intent_text.bare_words(said)))
    if route is not None:
        return Intent(route, exact=True)
    best = next(iter(_scores(said)), (0.0, UNSURE))
    return Intent(best[1], said) if best[0] >= _SURE else Intent(UNSURE, said)


def _scores(text: str) -> list[tuple[float, str]]:
    """Every conversation that something speaks for, the likeliest first."""
    if len(text) > TEXT_LENGTH_MAX:
        return []
    if intent_text.is_chinese(text):
        said = intent_text.plain(text)
        return _weighed(said, CHINESE, max(0, len(intent_text.bare(text)) - _FREE_CHARACTERS) * _PER_CHARACTER)
    said = intent_text.worded(text)
    return _weighed(said, ENGLISH, max(0, len(said.split()) - _FREE_WORDS) * _PER_WORD)


def _weighed(said: str, table: Mapping[str, Cues], beside_the_point: float) -> list[tuple[float, str]]:
    scores = []
    for route, cues in table.items():
        score = cues.score(said) - beside_the_point
        if score > 0:
            scores.append((round(score, 4), route))
    return sorted(scores, key=lambda scored: -scored[0])


def _of_staff(said: str) -> Intent:
    """Commands of one line; what only looks like a number or a code is what clerks type most."""
    if route := _STAFF.get(intent_text.squeezed(said)):
        return Intent(route, exact=True)
    if _DIGITS.fullmatch(said):
        return Intent("find", said, exact=True)
    if _COUPON_CODE.fullmatch(said):
        return Intent("redeem", said, exact=True)
    folded = said.lower().removeprefix("/")
    for word, route in _STAFF_VERBS:
        rest = said[len(said) - len(folded) + len(word) :] if folded.startswith(word) else None
        if rest is None or (word.isascii() and rest[:1].strip()):
            continue
        rest = rest.strip().removeprefix(":").strip()
        if route in _REST and _REST[route].fullmatch(rest):
            return Intent(route, rest, exact=True)
    return Intent(UNSURE, said)
