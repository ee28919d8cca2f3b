"""The programme's books for finance: what is owed in points, what moved, how old it was, and files to import."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from loyalty.access import Action
from loyalty.accounting import queries, rules
from loyalty.accounting.books import Books, as_csv, last_day, voucher, voucher_csv
from loyalty.accounting.rules import EstimateImpossible
from loyalty.errors import Invalid
from loyalty.ledger.operations import Asset
from loyalty.program import queries as program
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Bytes, Call, Endpoint, NoBody, NoQuery, Query, Rate, Repeat, Summary

AssetName = Annotated[str, Field(pattern=r"^(points|growth|principal|bonus|points:[a-z][a-z0-9_]{0,15})$")]
Money = Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,6})?$", examples=["100000.00"])]
PERIODS_MAX = 120


class PeriodQuery(Query):
    """Business days, `ends` not included."""

    begins: date
    ends: date
    asset: AssetName = "points"


class VoucherQuery(PeriodQuery):
    """Which finance system imports it, and the voucher's number."""

    layout: Literal["kingdee", "yonyou"] = "kingdee"
    number: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,20}$")] = "1"


class DeferredPeriod(Body):
    """Points redeemed in a period, and the estimate at its end of how many will be redeemed in all."""

    redeemed: Annotated[int, Field(ge=0, le=10**12)]
    expected: Annotated[int, Field(ge=1, le=10**12)]


class Deferred(Body):
    """A sale with points: `value` is the stand-alone price of one point, `expected_percent` how many of a hundred are
    expected to be redeemed. `deferred` overrides what would be allocated (a rounded liability)."""

    sales: Money
    points: Annotated[int, Field(ge=1, le=10**12)]
    value: Money = "1"
    expected_percent: Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,4})?$")] = "100"
    deferred: Money | None = None
    periods: Annotated[tuple[DeferredPeriod, ...], Field(max_length=PERIODS_MAX)] = ()


@dataclass(frozen=True, slots=True)
class BooksView:
    """Units owed at the beginning and at the end, and everything between; it always adds up. Money in fen."""

    asset: str
    begins: date
    ends: date
    opening: int
    issued: int
    goodwill: int
    restored: int
    redeemed: int
    expired: int
    cancelled: int
    clawed_back: int
    transferred: int
    forgiven: int
    closing: int
    liability_fen: int
    redeemed_fen: int
    breakage_fen: int


@dataclass(frozen=True, slots=True)
class AgeView:
    """Units redeemed that many days after they became usable, up to the next age."""

    from_days: int
    units: int


@dataclass(frozen=True, slots=True)
class CohortView:
    """Units issued in a month, and what became of them."""

    month: str
    issued: int
    redeemed: int
    expired: int
    taken_back: int
    outstanding: int


@dataclass(frozen=True, slots=True)
class Ageing:
    """Redemption by age in the period, and every cohort up to its end."""

    ages: tuple[AgeView, ...]
    cohorts: tuple[CohortView, ...]


@dataclass(frozen=True, slots=True)
class ReleasedView:
    """Revenue of points in one period, up to its end, and what is still deferred; to the cent."""

    revenue: str
    cumulative: str
    deferred: str


@dataclass(frozen=True, slots=True)
class DeferredView:
    """What of the price belongs to goods and to points, and how the latter becomes revenue."""

    goods: str
    points: str
    periods: tuple[ReleasedView, ...]


async def read_books(call: Call[NoBody, PeriodQuery]) -> BooksView:
    """The books of a period."""
    return _view(await _books(call))


async def read_ageing(call: Call[NoBody, PeriodQuery]) -> Ageing:
    """How old points are when they are redeemed, and what became of each month's."""
    wanted, asset = _period(call.query), Asset(call.query.asset)
    found = await queries.ages(asset, wanted.begins, wanted.ends, principal=call.staff, now=call.now)
    months = await queries.cohorts(asset, wanted.ends, principal=call.staff, now=call.now)
    return Ageing(
        tuple(AgeView(one.from_days, one.units) for one in found),
        tuple(
            CohortView(one.month, one.issued, one.redeemed, one.expired, one.taken_back, one.outstanding)
            for one in months
        ),
    )


async def export_books(call: Call[NoBody, PeriodQuery]) -> Bytes:
    """The books of a period as CSV."""
    view = _view(await _books(call))
    names = tuple(BooksView.__slots__)
    text = as_csv(names, [tuple(getattr(view, name) for name in names)])
    return Bytes(text.encode(), "text/csv")


async def export_voucher(call: Call[NoBody, VoucherQuery]) -> Bytes:
    """The period as a balanced voucher for 金蝶 or 用友."""
    found = await _books(call)
    lines = voucher(found, (await program.in_force(call.now)).terms.accounts)
    text = voucher_csv(lines, layout=call.query.layout, day=last_day(found.ends), number=call.query.number)
    return Bytes(text.encode(), "text/csv")


async def reckon_deferred(call: Call[Deferred, NoQuery]) -> DeferredView:
    """Allocate a price over goods and points, and release what is deferred."""
    wanted = call.body
    shared = rules.allocate(
        Decimal(wanted.sales),
        wanted.points,
        value=Decimal(wanted.value),
        expected_percent=Decimal(wanted.expected_percent),
    )
    deferred = shared.points if wanted.deferred is None else Decimal(wanted.deferred)
    released = rules.release(deferred, [rules.Period(one.redeemed, one.expected) for one in wanted.periods])
    return DeferredView(
        goods=str(rules.shown(shared.goods)),
        points=str(rules.shown(shared.points)),
        periods=tuple(
            ReleasedView(
                str(rules.shown(one.revenue)), str(rules.shown(one.cumulative)), str(rules.shown(one.deferred))
            )
            for one in released
        ),
    )


def _period(query: PeriodQuery) -> PeriodQuery:
    if query.ends <= query.begins:
        raise Invalid(errors=[{"field": "ends", "problem": "not_after_begins"}])
    return query


async def _books(call: Call[NoBody, PeriodQuery] | Call[NoBody, VoucherQuery]) -> Books:
    wanted = _period(call.query)
    return await queries.books(Asset(wanted.asset), wanted.begins, wanted.ends, principal=call.staff, now=call.now)


def _view(books: Books) -> BooksView:
    return BooksView(
        **{name: getattr(books, name) for name in BooksView.__slots__ if name != "asset"}, asset=books.asset
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/console/accounting/books",
        run=read_books,
        audience=Audience.CONSOLE,
        action=Action.LEDGER_READ,
        query=PeriodQuery,
        result=BooksView,
        summary=Summary("积分账：期初、发放、兑换、过期、期末与负债", "The programme's books of a period"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/accounting/ageing",
        run=read_ageing,
        audience=Audience.CONSOLE,
        action=Action.LEDGER_READ,
        query=PeriodQuery,
        result=Ageing,
        summary=Summary("兑换账龄与各月批次", "Ages at redemption, and cohorts by month of issue"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/accounting/books.csv",
        run=export_books,
        audience=Audience.CONSOLE,
        action=Action.LEDGER_READ,
        query=PeriodQuery,
        result=Bytes,
        summary=Summary("积分账导出（CSV）", "The books as CSV"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/accounting/voucher.csv",
        run=export_voucher,
        audience=Audience.CONSOLE,
        action=Action.LEDGER_READ,
        query=VoucherQuery,
        result=Bytes,
        summary=Summary("凭证导出（金蝶、用友导入格式）", "A voucher in the layout that Kingdee or Yonyou import"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/accounting/deferred-revenue",
        run=reckon_deferred,
        audience=Audience.CONSOLE,
        action=Action.LEDGER_READ,
        body=Deferred,
        result=DeferredView,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(EstimateImpossible,),
        summary=Summary("递延收入测算", "Allocate and release deferred revenue"),
    ),
)
