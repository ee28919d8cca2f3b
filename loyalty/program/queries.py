"""The terms in force."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loyalty import db
from loyalty.program.terms import Terms

# A publication is seen by every process within this time; facts store the version they were judged by.
FRESH_FOR: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class PublishedTerms:
    """Terms with the version that facts refer to; version 0 is the built-in default."""

    version: int
    terms: Terms


@dataclass(slots=True)
class _Seen:
    read_at: datetime | None = None
    rows: tuple[tuple[datetime, PublishedTerms], ...] = ()


_seen = _Seen()
_BUILT_IN: Final = PublishedTerms(version=0, terms=Terms())


async def in_force(at: datetime, *, now: datetime | None = None) -> PublishedTerms:
    """The newest version whose `effective_from` is not after `at`, or the built-in default.

    `now` decides how fresh the copy in this process must be and defaults to `at`.
    """
    moment = now or at
    if _seen.read_at is None or not timedelta() <= moment - _seen.read_at < FRESH_FOR:
        await _reread(moment)
    for effective_from, published in _seen.rows:
        if effective_from <= at:
            return published
    return _BUILT_IN


async def of_version(version: int, *, now: datetime) -> Terms:
    """The terms that a fact was judged by."""
    await in_force(now)
    return next((published.terms for _, published in _seen.rows if published.version == version), _BUILT_IN.terms)


async def _reread(now: datetime) -> None:
    rows = await db.fetch("SELECT version, effective_from, terms FROM program_terms ORDER BY version DESC")
    known = {published.version: published for _, published in _seen.rows}
    _seen.rows = tuple(
        (row["effective_from"], _published(known.get(row["version"]), row["version"], row["terms"])) for row in rows
    )
    _seen.read_at = now


def _published(known: PublishedTerms | None, version: int, document: str) -> PublishedTerms:
    fresh = PublishedTerms(version=version, terms=Terms.model_validate_json(document))
    return known if known is not None and known.terms == fresh.terms else fresh


def forget() -> None:
    """Drop this process's copy (after publishing, and between tests)."""
    _seen.read_at = None
    _seen.rows = ()
