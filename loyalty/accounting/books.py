"""Books of one asset over a period, and the vouchers that a finance system imports. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal

from loyalty.accounting.rules import shown
from loyalty.ledger.operations import Asset
from loyalty.program.terms import AccountCode, AccountTerms

_OURS: Final = frozenset({"available", "pending", "held", "arrears"})
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_LAYOUTS: Final = {
    "kingdee": ("日期", "凭证字", "凭证号", "分录号", "摘要", "科目代码", "科目名称", "借方金额", "贷方金额"),
    "yonyou": ("制单日期", "凭证类别", "凭证编号", "行号", "摘要", "科目编码", "科目名称", "借方", "贷方"),
}
Layout = Literal["kingdee", "yonyou"]
BOM: Final = "\ufeff"
FEN_PER_YUAN: Final = 100


@dataclass(frozen=True, slots=True)
class Flow:
    """Units posted from one account to another before a period and within it."""

    source: str
    destination: str
    before: int
    within: int


@dataclass(frozen=True, slots=True)
class Books:
    """Units owed to members at the beginning and the end of [begins, ends), and everything that moved between.

    opening + issued + goodwill + restored - redeemed - expired - cancelled - clawed_back + transferred = closing.
    `forgiven` was to be taken back and was not.
    """

    asset: Asset
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
    points_per_yuan: int

    def worth_fen(self, units: int) -> int:
        """What units are worth as a means of payment, rounded down."""
        return units * FEN_PER_YUAN // self.points_per_yuan

    @property
    def liability_fen(self) -> int:
        """What is owed to members at the end."""
        return self.worth_fen(self.closing)

    @property
    def redeemed_fen(self) -> int:
        """What was redeemed, less what came back."""
        return self.worth_fen(self.redeemed - self.restored)

    @property
    def breakage_fen(self) -> int:
        """What expired."""
        return self.worth_fen(self.expired)


def books_of(flows: Sequence[Flow], *, asset: Asset, begins: date, ends: date, points_per_yuan: int) -> Books:
    """Add the flows up; what opens, moves and closes comes from the same postings and so always agrees."""

    def within(source: str | None = None, destination: str | None = None) -> int:
        return sum(
            flow.within
            for flow in flows
            if (source is None or flow.source == source) and (destination is None or flow.destination == destination)
        )

    opening = sum(_net(flow) * flow.before for flow in flows)
    forgiven = within(source="forgiven")
    closing = opening + sum(_net(flow) * flow.within for flow in flows)
    return Books(
        asset=asset,
        begins=begins,
        ends=ends,
        opening=opening,
        issued=within(source="issued"),
        goodwill=within(source="goodwill"),
        restored=within(source="spent"),
        redeemed=within(destination="spent"),
        expired=within(destination="expired"),
        cancelled=within(destination="cancelled"),
        clawed_back=within(destination="clawed_back") - forgiven - within("clawed_back"),
        transferred=within(source="transfer") - within(destination="transfer"),
        forgiven=forgiven,
        closing=closing,
        points_per_yuan=points_per_yuan,
    )


def _net(flow: Flow) -> int:
    """How a posting changes what is owed to members: what comes into their accounts less what leaves them."""
    return (flow.destination in _OURS) - (flow.source in _OURS)


@dataclass(frozen=True, slots=True)
class VoucherLine:
    """One line of a voucher; exactly one of debit and credit is not zero. Money in fen."""

    summary: str
    account: str
    name: str
    debit_fen: int
    credit_fen: int


def voucher(books: Books, accounts: AccountTerms) -> list[VoucherLine]:
    """The period as one balanced voucher: points issued are owed, redeemed and expired ones become revenue."""
    liability, revenue, cost = accounts.liability, accounts.revenue, accounts.goodwill
    issued = books.worth_fen(books.issued - books.cancelled - books.clawed_back)
    moves = (
        ("发放积分", revenue, liability, issued),
        ("商家补偿积分", cost, liability, books.worth_fen(books.goodwill)),
        ("积分兑换", liability, revenue, books.redeemed_fen),
        ("积分过期", liability, revenue, books.breakage_fen),
    )
    return [line for move in moves for line in _pair(*move)]


def _pair(summary: str, debit: AccountCode, credit: AccountCode, fen: int) -> list[VoucherLine]:
    """Both sides of one move; a negative one goes the other way round, and nothing makes no line."""
    if not fen:
        return []
    gives, takes = (debit, credit) if fen > 0 else (credit, debit)
    return [
        VoucherLine(summary, gives.code, gives.name, abs(fen), 0),
        VoucherLine(summary, takes.code, takes.name, 0, abs(fen)),
    ]


def voucher_csv(lines: Sequence[VoucherLine], *, layout: Layout, day: date, number: str) -> str:
    """The voucher as 金蝶 or 用友 import it: UTF-8 with BOM, amounts in yuan."""
    rows = [(*(day.isoformat(), "记", number, place), *_columns(line)) for place, line in enumerate(lines, 1)]
    return as_csv(_LAYOUTS[layout], rows)


def _columns(line: VoucherLine) -> tuple[str, ...]:
    return (line.summary, line.account, line.name, _yuan(line.debit_fen), _yuan(line.credit_fen))


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV that spreadsheets open as data: nothing in it runs as a formula."""
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_harmless(str(value)) for value in row])
    return BOM + written.getvalue()


def _harmless(text: str) -> str:
    is_number = text.lstrip("-").replace(".", "", 1).isdigit()
    return f"'{text}" if text.startswith(_DANGEROUS) and not is_number else text


def _yuan(fen: int) -> str:
    return str(shown(Decimal(fen) / FEN_PER_YUAN))


def last_day(ends: date) -> date:
    """The last day of a half-open period."""
    return ends - timedelta(days=1)
