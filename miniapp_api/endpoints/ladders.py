"""Ladders as those see them who write them: drafted, tried on everybody, published, followed while they are applied."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import AwareDatetime

from loyalty.access import Action
from loyalty.ladder_moves import queries as moves_read
from loyalty.ladder_moves import service as moves
from loyalty.ladder_moves.queries import MoveView
from loyalty.ladders import queries, service
from loyalty.ladders.checks import REFUSALS
from loyalty.ladders.queries import VersionView
from loyalty.ladders.rules import Ladder
from loyalty.ladders.service import DraftOutdated, LadderPublished, LadderUnknown, WrittenMeanwhile
from loyalty.members import queries as members
from loyalty.members.queries import MemberCard
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.public_ids import Kind, public_id, row_id

_DIGITS_MAX: Final = 9

Downgrades = Literal["at_review", "at_once"]


class LadderDocument(Ladder, Body):
    """A ladder: what counts over which window, how long tiers last, how they end, and the steps with their benefits."""


class Trying(Body):
    """What becomes of members who would have less: kept until their next review, or moved at once."""

    downgrades: Downgrades = "at_review"


class Publishing(Body):
    """As `Trying`; `effective_from` is now unless it is given."""

    downgrades: Downgrades = "at_review"
    effective_from: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class LadderVersion:
    """One version of a ladder. Version 0 is built in."""

    ladder: str
    version: int
    status: Literal["built_in", "draft", "published"]
    document: dict[str, Any]
    created_by: str | None
    created_at: datetime | None
    published_by: str | None
    effective_from: datetime | None


@dataclass(frozen=True, slots=True)
class LaddersInForce:
    """Every ladder as it counts now, the main one first."""

    items: tuple[LadderVersion, ...]


@dataclass(frozen=True, slots=True)
class LadderVersions:
    """Versions of one ladder, newest first."""

    items: tuple[LadderVersion, ...]


@dataclass(frozen=True, slots=True)
class TierMove:
    """So many members go from one tier to another; `samples` are member numbers."""

    old: str
    new: str
    members: int
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LadderMove:
    """What a version does to members. `looked_at` of `members` are counted; `holders` says how many will hold each
    tier; `points_per_year` is what the benefits cost more (or less), by the purchases of the last year."""

    id: str
    ladder: str
    version: int
    is_dry: bool
    downgrades: Downgrades
    status: Literal["running", "done"]
    members: int
    looked_at: int
    moves: tuple[TierMove, ...]
    holders: dict[str, int]
    points_per_year: int
    due_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class LadderMoves:
    """Dry runs and publications of one ladder, newest first."""

    items: tuple[LadderMove, ...]


async def list_ladders(call: Call[NoBody, NoQuery]) -> LaddersInForce:
    """What counts now."""
    found = await queries.in_force(call.now)
    items = []
    for code, published in found.by_code.items():
        view = await queries.version(code, published.version)
        items.append(_built_in(published.ladder) if view is None else _version(view))
    return LaddersInForce(items=tuple(items))


async def draft_ladder(call: Call[LadderDocument, NoQuery]) -> LadderVersion:
    """Write a draft, which changes nothing yet."""
    ladder = Ladder.model_validate(call.body.model_dump())
    return _version(await service.draft(ladder, principal=call.staff, now=call.now))


async def list_ladder_versions(call: Call[NoBody, NoQuery]) -> LadderVersions:
    """Drafts and publications of one ladder."""
    return LadderVersions(items=tuple(_version(view) for view in await queries.versions(call.path["ladder"])))


async def try_ladder(call: Call[Trying, NoQuery]) -> LadderMove:
    """Who would move; large programmes are counted on by the worker."""
    begun = await moves.dry_run(
        call.path["ladder"], _number(call.path["version"]), call.body.downgrades, principal=call.staff, now=call.now
    )
    return await _move(begun, call.now)


async def publish_ladder(call: Call[Publishing, NoQuery]) -> LadderMove:
    """Put a draft in force and move everybody by it."""
    begun = await moves.publish(
        call.path["ladder"],
        _number(call.path["version"]),
        call.body.downgrades,
        principal=call.staff,
        effective_from=call.body.effective_from,
        now=call.now,
    )
    return await _move(begun, call.now)


async def list_ladder_moves(call: Call[NoBody, NoQuery]) -> LadderMoves:
    """Dry runs and publications of one ladder, with their progress."""
    found = await moves_read.of_ladder(call.path["ladder"])
    return LadderMoves(items=tuple([await _move(one, call.now) for one in found]))


async def read_ladder_move(call: Call[NoBody, NoQuery]) -> LadderMove:
    """How far one of them came."""
    found = await moves_read.find(row_id(Kind.LADDER_MOVE, call.path["move"]))
    if found is None:
        raise LadderUnknown
    return await _move(found, call.now)


def _number(typed: str) -> int:
    if not typed.isdecimal() or len(typed) > _DIGITS_MAX:
        raise LadderUnknown
    return int(typed)


def _built_in(ladder: Ladder) -> LadderVersion:
    return LadderVersion(ladder.code, 0, "built_in", ladder.model_dump(mode="json"), None, None, None, None)


def _version(view: VersionView) -> LadderVersion:
    return LadderVersion(
        ladder=view.ladder.code,
        version=view.version,
        status="published" if view.status == "published" else "draft",
        document=view.ladder.model_dump(mode="json"),
        created_by=view.created_by,
        created_at=view.created_at,
        published_by=view.published_by,
        effective_from=view.effective_from,
    )


def _pair(key: str) -> tuple[str, str]:
    old, _, new = key.partition(">")
    return old, new


async def _move(view: MoveView, now: datetime) -> LadderMove:
    samples: dict[str, list[int]] = view.found["samples"]
    ids = sorted({member_id for some in samples.values() for member_id in some})
    cards = await members.cards(ids, at=now)
    numbers = {card.id: card.number for card in cards if isinstance(card, MemberCard)}
    return LadderMove(
        id=public_id(Kind.LADDER_MOVE, view.id),
        ladder=view.ladder,
        version=view.version,
        is_dry=view.is_dry,
        downgrades="at_once" if view.downgrades == "at_once" else "at_review",
        status="done" if view.status == "done" else "running",
        members=view.members,
        looked_at=view.looked_at,
        moves=tuple(
            TierMove(*_pair(key), count, tuple(numbers[one] for one in samples.get(key, ()) if one in numbers))
            for key, count in sorted(view.found["moves"].items())
        ),
        holders=dict(view.found["holders"]),
        points_per_year=view.found["points_per_year"],
        due_at=view.due_at,
        finished_at=view.finished_at,
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/console/ladders",
        run=list_ladders,
        audience=Audience.CONSOLE,
        action=Action.TERMS_READ,
        result=LaddersInForce,
        summary=Summary("现行的等级体系", "Ladders in force"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/ladders",
        run=draft_ladder,
        audience=Audience.CONSOLE,
        action=Action.TERMS_PROPOSE,
        body=LadderDocument,
        result=LadderVersion,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(WrittenMeanwhile, *REFUSALS),
        summary=Summary("写等级体系的草稿", "Draft a ladder"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/ladders/{ladder}/versions",
        run=list_ladder_versions,
        audience=Audience.CONSOLE,
        action=Action.TERMS_READ,
        result=LadderVersions,
        summary=Summary("一个等级体系的各个版本", "Versions of a ladder"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/ladders/{ladder}/versions/{version}/dry-run",
        run=try_ladder,
        audience=Audience.CONSOLE,
        action=Action.TERMS_PROPOSE,
        body=Trying,
        result=LadderMove,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(LadderUnknown,),
        summary=Summary("试算：谁会升、谁会降、权益多花多少", "Dry run: who would move, and what it costs"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/ladders/{ladder}/versions/{version}/publication",
        run=publish_ladder,
        audience=Audience.CONSOLE,
        action=Action.TERMS_APPROVE,
        body=Publishing,
        result=LadderMove,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(LadderUnknown, LadderPublished, DraftOutdated, *REFUSALS),
        summary=Summary("发布等级体系，并按它调整会员等级", "Publish a ladder and move members by it"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/ladders/{ladder}/moves",
        run=list_ladder_moves,
        audience=Audience.CONSOLE,
        action=Action.TERMS_READ,
        result=LadderMoves,
        summary=Summary("一个等级体系的试算与发布进度", "Dry runs and publications of a ladder"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/ladder-moves/{move}",
        run=read_ladder_move,
        audience=Audience.CONSOLE,
        action=Action.TERMS_READ,
        result=LadderMove,
        refusals=(LadderUnknown,),
        summary=Summary("一次试算或发布的进度", "Progress of one dry run or publication"),
    ),
)
