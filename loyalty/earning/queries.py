"""The earning rules in force, and what was written of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from loyalty import db
from loyalty.conditions.rules import Setting
from loyalty.earning import builtin
from loyalty.earning.documents import Rule
from loyalty.earning.rules import RuleSet, Versioned
from loyalty.ladders import queries as ladders
from loyalty.program import queries as program

# A publication is seen by every process within this time, as that of the terms.
FRESH_FOR: Final = timedelta(seconds=1)
PAGE_MAX: Final = 100
COLUMNS: Final = (
    "id, code, version, status, document, fingerprint, effective_from, effective_until, approval_id, created_by,"
    " created_at, published_by, published_at"
)


@dataclass(frozen=True, slots=True)
class RuleView:
    """One version of a rule; it counts from `effective_from` until `effective_until` once it is published."""

    id: int
    code: str
    version: int
    status: str
    rule: Rule
    fingerprint: str
    effective_from: datetime | None
    effective_until: datetime | None
    approval_id: int | None
    created_by: str
    created_at: datetime
    published_by: str | None
    published_at: datetime | None

    def counts_at(self, at: datetime) -> bool:
        """Whether this version is published for `at`; the newest of these is in force."""
        begun = self.effective_from is not None and self.effective_from <= at
        return self.status == "published" and begun and (self.effective_until is None or at < self.effective_until)


@dataclass(slots=True)
class _Seen:
    read_at: datetime | None = None
    published: tuple[RuleView, ...] = ()
    rulesets: dict[tuple[object, ...], RuleSet] = field(default_factory=dict)


_seen = _Seen()
RULESETS_MAX: Final = 200
_THESE: Final = f"""
SELECT {COLUMNS} FROM earning_rule WHERE (code, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))
"""
_PUBLISHED: Final = f"SELECT {COLUMNS} FROM earning_rule WHERE status = 'published' ORDER BY code, version DESC"


async def published(*, now: datetime) -> Sequence[RuleView]:
    """Every version that was published, the newest of each code first; this process's copy is a second old at most."""
    if _seen.read_at is None or not timedelta() <= now - _seen.read_at < FRESH_FOR:
        known = {view.id: view for view in _seen.published}
        rows = await db.fetch(_PUBLISHED)
        _seen.published = tuple(_known(known.get(row["id"]), row) for row in rows)
        _seen.read_at = now
    return _seen.published


def _known(known: RuleView | None, row: db.Row) -> RuleView:
    # Documents never change; reading one again costs more than everything else here.
    if known is not None and known.effective_until == row["effective_until"]:
        return known
    return view_of(row)


def forget() -> None:
    """Drop this process's copy (after publishing, and between tests)."""
    _seen.read_at = None
    _seen.published = ()
    _seen.rulesets.clear()


async def has_published(trigger: str, at: datetime, *, now: datetime) -> bool:
    """Whether a published rule says anything on this trigger at `at`; otherwise only the built-in ones do."""
    return any(view.rule.trigger == trigger and view.counts_at(at) for view in await published(now=now))


async def telling(*, at: datetime) -> list[RuleView]:
    """The published rules that give points at `at`, in their order: what members may be told."""
    newest: dict[str, RuleView] = {}
    for view in await published(now=at):
        if view.counts_at(at):
            newest.setdefault(view.code, view)
    giving = [view for view in newest.values() if view.rule.amount.kind != "nothing" and view.rule.asset != "growth"]
    return sorted(giving, key=lambda view: (view.rule.order, view.code))


async def in_force(trigger: str, at: datetime, *, now: datetime | None = None) -> RuleSet:
    """The rules of a trigger at one instant: of each code the newest version that counts then, or the built-in one.

    `now` decides how fresh the copy in this process must be and defaults to `at`.
    """
    newest: dict[str, RuleView] = {}
    for view in await published(now=now or at):
        if view.counts_at(at):
            newest.setdefault(view.code, view)
    # Versions never change once they are published: what they make together is made once.
    terms, steps = await program.in_force(at, now=now), await ladders.in_force(at, now=now)
    made_of = (
        trigger,
        terms.version,
        *(one.version for one in steps.by_code.values()),
        *(v.id for v in newest.values()),
    )
    made = _seen.rulesets.get(made_of)
    if made is None:
        if len(_seen.rulesets) >= RULESETS_MAX:
            _seen.rulesets.clear()
        written = [Versioned(view.version, view.rule) for view in newest.values()]
        made = _seen.rulesets[made_of] = await ruleset(trigger, at, written, now=now)
    return made


async def ruleset(trigger: str, at: datetime, written: Iterable[Versioned], *, now: datetime | None = None) -> RuleSet:
    """The built-in rules of a trigger at one instant with `written` ones in their place and beside them."""
    known = await program.in_force(at, now=now)
    by_code = {one.code: one for one in builtin.rules(known.terms)} | {one.code: one for one in written}
    steps = {
        code: tuple(step.code for step in one.ladder.steps)
        for code, one in (await ladders.in_force(at, now=now)).by_code.items()
    }
    return RuleSet(
        rules=tuple(one for _, one in sorted(by_code.items()) if one.rule.trigger == trigger),
        programme=known.terms,
        setting=Setting(known.terms.calendar, steps),
        version=known.version,
    )


async def ruleset_of(
    trigger: str, at: datetime, versions: Mapping[str, int], terms_version: int, *, now: datetime
) -> RuleSet:
    """The rules that a fact was judged by, as it recorded them."""
    written = [(code, version) for code, version in versions.items() if version != builtin.VERSION]
    rows = await db.fetch(_THESE, [code for code, _ in written], [version for _, version in written]) if written else []
    terms = await program.of_version(terms_version, now=now)
    built_in = [one for one in builtin.rules(terms) if versions.get(one.code) == builtin.VERSION]
    views = [view_of(row) for row in rows]
    current = await ruleset(trigger, at, (), now=now)
    return RuleSet(
        rules=(*built_in, *(Versioned(view.version, view.rule) for view in views)),
        programme=terms,
        setting=current.setting,
        version=terms_version,
    )


async def find(code: str, version: int) -> RuleView | None:
    """One version of a rule."""
    row = await db.fetch_one(f"SELECT {COLUMNS} FROM earning_rule WHERE code = $1 AND version = $2", code, version)
    return None if row is None else view_of(row)


async def versions(code: str, *, limit: int = PAGE_MAX) -> list[RuleView]:
    """Every version of a rule, newest first."""
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM earning_rule WHERE code = $1 ORDER BY version DESC LIMIT $2", code, limit
    )
    return [view_of(row) for row in rows]


async def newest(*, limit: int = 500) -> list[RuleView]:
    """The newest version of each rule, whatever its state, by code."""
    rows = await db.fetch(
        f"SELECT DISTINCT ON (code) {COLUMNS} FROM earning_rule ORDER BY code, version DESC LIMIT $1", limit
    )
    return [view_of(row) for row in rows]


async def budgets_left(codes: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Of each budget the total and what is used of it."""
    rows = await db.fetch("SELECT code, total, used FROM earning_budget WHERE code = ANY($1)", list(codes))
    return {row["code"]: (row["total"], row["used"]) for row in rows}


def view_of(row: db.Row) -> RuleView:
    """The view of a row that has all of `COLUMNS`."""
    values = {name: row[name] for name in RuleView.__slots__ if name != "rule"}
    return RuleView(**values, rule=Rule.model_validate_json(row["document"]))
