"""Draws (抽奖): what is promised, drawing, one's prizes, and each day's records for anybody to check."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from loyalty import codes
from loyalty.access import Action, OtherStore, OwnMembership
from loyalty.codes import CodeMistyped
from loyalty.draws import giving, queries, service
from loyalty.draws.giving import AlreadyHandedOver, WinUnknown
from loyalty.draws.proof import NONCE_LENGTH_MAX
from loyalty.draws.publishing import DrawUnknown
from loyalty.draws.queries import DrawView, Win
from loyalty.draws.rules import Prize
from loyalty.draws.service import DayLimit, DrawClosed, DrawRequest, NoChance, NotForStaff, TotalLimit
from loyalty.errors import NotFound
from loyalty.ledger.service import NotEnough
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Query, Rate, Repeat, Summary
from miniapp_api.endpoints.paging import LIMIT_DEFAULT, LIMIT_MAX, next_cursor
from miniapp_api.public_ids import Kind, PublicId, public_id, row_id
from templates.words import Locale

Nonce = Annotated[str, Field(min_length=1, max_length=NONCE_LENGTH_MAX, pattern=r"^[!-{}~]+$", examples=["k7Qw2"])]
DrawCode = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", examples=["autumn"])]


@dataclass(frozen=True, slots=True)
class Odds:
    """One prize: `weight` of `total_weight` is its chance; `left` is null where it never runs out."""

    prize: str
    name: str
    worth_fen: int
    weight: int
    left: int | None


@dataclass(frozen=True, slots=True)
class RunningDraw:
    """A draw and its promise. `rules_sha256` is the SHA-256 of the frozen rules."""

    code: str
    name: str
    kind: Literal["wheel", "scratch", "box"]
    organiser: str
    claim_rules: str
    starts_at: datetime
    ends_at: datetime
    free_per_day: int
    points_per_draw: int
    max_per_day: int
    total_weight: int
    fallback: str
    odds: tuple[Odds, ...]
    rules_sha256: str


@dataclass(frozen=True, slots=True)
class RunningDraws:
    """The draws that are open or coming."""

    items: tuple[RunningDraw, ...]


@dataclass(frozen=True, slots=True)
class DayCommitment:
    """The SHA-256 of a day's secret seed, published before the draw began."""

    day: date
    commitment: str


@dataclass(frozen=True, slots=True)
class DrawPromise:
    """The frozen rules as text, and the commitment of every day."""

    document: str
    rules_sha256: str
    days: tuple[DayCommitment, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """Finds the result in its day's records: keep it, and nobody can change what you drew."""

    day: date
    serial: int
    nonce: str
    link: str


@dataclass(frozen=True, slots=True)
class DrawResult:
    """What was drawn. `code` is what a clerk needs to hand the prize over, null where nothing is handed over."""

    prize: str
    name: str
    worth_fen: int
    is_win: bool
    code: str | None
    receipt: Receipt
    at: datetime


@dataclass(frozen=True, slots=True)
class MyWin:
    """A prize of the member."""

    id: str
    draw: str
    prize: str
    name: str
    status: Literal["given", "waiting", "handed_over", "owed"]
    code: str | None
    at: datetime
    handed_over_at: datetime | None
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class MyWins:
    """A page of prizes, newest first."""

    items: tuple[MyWin, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class DayRecord:
    """One result: anybody recomputes `rolled` and `prize` from the seed, `serial` and `nonce`."""

    serial: int
    nonce: str
    rolled: int
    prize: str
    link: str
    at: str


@dataclass(frozen=True, slots=True)
class DayRecords:
    """One day of a draw; seed and records are there once the day is over."""

    document: str
    rules_sha256: str
    day: date
    commitment: str
    seed: str | None
    left_before: dict[str, int]
    left_after: dict[str, int]
    head: str | None
    records: tuple[DayRecord, ...]


@dataclass(frozen=True, slots=True)
class HandedOverPrize:
    """The prize that the clerk gives to the member now."""

    prize: str
    name: str


class Draw(Body):
    """Draw once; `nonce` is the member's own share in the randomness, any visible characters."""

    nonce: Nonce


class Handing(Body):
    """The winner's code."""

    code: Annotated[str, Field(min_length=1, max_length=codes.TYPED_LENGTH_MAX)]


class WinQuery(Query):
    """Which page."""

    cursor: PublicId | None = None
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT


async def list_draws(call: Call[NoBody, NoQuery]) -> RunningDraws:
    """Draws that are open or coming, with their odds."""
    found = await queries.running(at=call.now)
    return RunningDraws(items=tuple([await _running(draw, call.locale) for draw in found]))


async def read_draw(call: Call[NoBody, NoQuery]) -> DrawPromise:
    """The frozen rules of a draw and its commitments."""
    found = await _published(call.path["draw"])
    days = await queries.commitments(found.id)
    return DrawPromise(found.document, found.fingerprint, tuple(DayCommitment(one.day, one.commitment) for one in days))


async def read_draw_day(call: Call[NoBody, NoQuery]) -> DayRecords:
    """One day's records for anybody to check."""
    found = await _published(call.path["draw"])
    try:
        day = date.fromisoformat(call.path["day"])
    except ValueError:
        raise NotFound from None
    published = await queries.publication(found, day, now=call.now)
    if published is None:
        raise NotFound
    records = tuple(DayRecord(**record) for record in published["records"])
    return DayRecords(**{**published, "day": day, "records": records})


async def draw_prize(call: Call[Draw, NoQuery]) -> DrawResult:
    """Draw once."""
    request = DrawRequest(member_id=call.member_id, key=call.operation_key, nonce=call.body.nonce)
    done = await service.draw_one(call.path["draw"], request, now=call.now)
    waits = done.prize.award.kind == "handed_over"
    return DrawResult(
        prize=done.prize.code,
        name=_in(done.prize.name, call.locale),
        worth_fen=done.prize.worth_fen,
        is_win=done.prize.award.kind != "nothing",
        code=codes.spaced(giving.code_of(done.record_id)) if waits else None,
        receipt=Receipt(done.day, done.serial, done.nonce, done.link),
        at=done.at,
    )


async def list_wins(call: Call[NoBody, WinQuery]) -> MyWins:
    """The member's prizes."""
    before = None if call.query.cursor is None else row_id(Kind.WIN, call.query.cursor)
    found = await queries.wins(call.member_id, before_id=before, limit=call.query.limit)
    continues = len(found) == call.query.limit
    return MyWins(
        items=tuple(_win(win, call.locale) for win in found),
        next_cursor=next_cursor(Kind.WIN, found[-1].id if continues else None),
    )


async def hand_over_prize(call: Call[Handing, NoQuery]) -> HandedOverPrize:
    """Hand a prize over, once."""
    prize = await giving.hand_over(call.body.code, principal=call.staff, now=call.now)
    return HandedOverPrize(prize.code, _in(prize.name, call.locale))


async def _published(code: str) -> DrawView:
    found = await queries.find(code)
    if found is None or found.status != "published":
        raise DrawUnknown
    return found


async def _running(found: DrawView, locale: Locale) -> RunningDraw:
    left, draw = await queries.left(found.id), found.draw
    return RunningDraw(
        code=draw.code,
        name=_in(draw.name, locale),
        kind=draw.kind,
        organiser=_in(draw.organiser, locale),
        claim_rules=_in(draw.claim_rules, locale),
        starts_at=draw.starts_at,
        ends_at=draw.ends_at,
        free_per_day=draw.chances.free_per_day,
        points_per_draw=draw.chances.points_per_draw,
        max_per_day=draw.chances.max_per_day,
        total_weight=draw.total_weight,
        fallback=draw.fallback,
        odds=tuple(_odds(prize, left.get(prize.code), locale) for prize in draw.prizes),
        rules_sha256=found.fingerprint,
    )


def _odds(prize: Prize, left: int | None, locale: Locale) -> Odds:
    return Odds(prize.code, _in(prize.name, locale), prize.worth_fen, prize.weight, left)


def _win(win: Win, locale: Locale) -> MyWin:
    return MyWin(
        id=public_id(Kind.WIN, win.id),
        draw=win.draw,
        prize=win.prize.code,
        name=_in(win.prize.name, locale),
        status=win.status,
        code=codes.spaced(giving.code_of(win.id)) if win.status == "waiting" else None,
        at=win.at,
        handed_over_at=win.handed_over_at,
        receipt=Receipt(win.day, win.serial, win.nonce, win.link),
    )


def _in(words: Any, locale: Locale) -> str:
    return str(words.get(locale) or next(iter(words.values())))


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/draws",
        run=list_draws,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=RunningDraws,
        summary=Summary("正在进行的抽奖与概率", "Draws that are open, with their odds"),
    ),
    Endpoint(
        method="GET",
        path="/v1/draws/{draw}",
        run=read_draw,
        audience=Audience.ANYONE,
        result=DrawPromise,
        refusals=(DrawUnknown,),
        summary=Summary("抽奖规则全文与每日承诺值", "A draw's frozen rules and daily commitments"),
    ),
    Endpoint(
        method="GET",
        path="/v1/draws/{draw}/days/{day}",
        run=read_draw_day,
        audience=Audience.ANYONE,
        result=DayRecords,
        refusals=(DrawUnknown, NotFound),
        summary=Summary("某日全部抽奖记录（任何人可验证）", "One day's records, for anybody to check"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/draws/{draw}",
        run=draw_prize,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=Draw,
        result=DrawResult,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(DrawUnknown, DrawClosed, NoChance, DayLimit, TotalLimit, NotForStaff, NotEnough),
        summary=Summary("抽一次奖", "Draw once"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/wins",
        run=list_wins,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        query=WinQuery,
        result=MyWins,
        refusals=(NotFound,),
        summary=Summary("我的奖品", "My prizes"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/handings",
        run=hand_over_prize,
        audience=Audience.STAFF,
        action=Action.COUPON_REDEEM,
        body=Handing,
        result=HandedOverPrize,
        status=201,
        rate=Rate.GUESSABLE,
        repeat=Repeat.KEYED,
        refusals=(CodeMistyped, WinUnknown, AlreadyHandedOver, OtherStore, OwnMembership),
        summary=Summary("凭码发放奖品", "Hand a prize over"),
    ),
)
