"""The books equal the ledger, whatever happened; vouchers balance; files are data and never formulas."""

import csv
import io
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty import db
from loyalty.access import Role, StaffPrincipal, SystemPrincipal
from loyalty.accounting import books, queries
from loyalty.accounting.books import Flow
from loyalty.errors import Forbidden
from loyalty.ledger import service as ledger
from loyalty.ledger.operations import Asset, Hold, Pending
from loyalty.ledger.service import Capture, Claw, ClawBack, Grace, Grant, Operation, Reverse, Spend, TakeBack, Transfer
from loyalty.program.terms import AccountTerms
from tests.loyalty.shop import NOW

TODAY = date(2026, 11, 21)
FINANCE = SystemPrincipal("test")
DAY = timedelta(days=1)


async def a_life() -> None:
    """Two members to whom everything that the ledger knows has happened, over two days."""
    async with db.unit_of_work():
        await ledger.open_accounts([1, 2], now=NOW)
    points: dict[str, Any] = {"member_id": 1, "asset": Asset.POINTS, "occurred_at": NOW, "kind": "test"}
    first: list[Operation] = [
        Grant(**points, key="a", amount=1000, expires_at=NOW + DAY),
        Grant(**points, key="b", amount=500),
        Grant(**points, key="p", amount=70, pending=Pending(activates_at=NOW + 5 * DAY)),
        Spend(**points, key="s", amount=1100),
        Hold(**points, key="h", amount=100, expires_at=NOW + DAY),
    ]
    later = {**points, "occurred_at": NOW + DAY}
    second: list[Operation] = [
        Reverse(**later, key="r", reverses_key="s", amount=300, grace=Grace(expires_at=NOW + 30 * DAY)),
        Transfer(member_id=1, to_member_id=2, asset=Asset.POINTS, amount=50, key="t", occurred_at=NOW + DAY),
        TakeBack(**later, key="c", amount=2000, reverses=("p",), policy=ClawBack(Claw.ALLOW, 100)),
        Grant(**later, key="n", amount=30),
    ]
    held = Capture(**points, key="cap", hold_key="h", amount=60)
    for batch, now in ((first, NOW), ([held], NOW), (second, NOW + DAY)):
        async with db.unit_of_work():
            await ledger.post(batch, now=now)


@pytest.mark.usefixtures("database")
async def test_the_books_equal_the_ledger_at_any_cut() -> None:
    await a_life()
    owed = await db.fetch_value(
        "SELECT sum(available + pending + held - arrears)::bigint FROM ledger_balance WHERE asset = 'points'"
    )
    now = NOW + 2 * DAY
    whole = await queries.books(Asset.POINTS, TODAY, TODAY + 2 * DAY, principal=FINANCE, now=now)
    assert whole.closing == owed
    first = await queries.books(Asset.POINTS, TODAY, TODAY + DAY, principal=FINANCE, now=now)
    second = await queries.books(Asset.POINTS, TODAY + DAY, TODAY + 2 * DAY, principal=FINANCE, now=now)
    assert (first.opening, first.closing, second.closing) == (0, second.opening, owed)
    for one in (whole, first, second):
        gained = one.issued + one.goodwill + one.restored + one.transferred
        lost = one.redeemed + one.expired + one.cancelled + one.clawed_back
        assert one.opening + gained - lost == one.closing, one
    assert (first.issued, first.redeemed) == (1570, 1160)
    assert (second.goodwill, second.cancelled, whole.transferred) == (200, 70, 0)


@pytest.mark.usefixtures("database")
async def test_cohorts_and_ages_add_up_to_the_books() -> None:
    await a_life()
    now = NOW + 2 * DAY
    whole = await queries.books(Asset.POINTS, TODAY, TODAY + 2 * DAY, principal=FINANCE, now=now)
    (month,) = await queries.cohorts(Asset.POINTS, TODAY + 2 * DAY, principal=FINANCE, now=now)
    assert (month.month, month.issued) == ("2026-11", whole.issued + whole.goodwill)
    assert (month.redeemed, month.expired) == (whole.redeemed - whole.restored, whole.expired)
    ages = await queries.ages(Asset.POINTS, TODAY, TODAY + 2 * DAY, principal=FINANCE, now=now)
    assert sum(age.units for age in ages) == whole.redeemed - whole.restored


@pytest.mark.usefixtures("database")
async def test_only_finance_and_audit_read_the_books() -> None:
    for role in Role:
        someone = StaffPrincipal(staff_id=1, role=role)
        if role in {Role.FINANCE, Role.AUDITOR}:
            await queries.books(Asset.POINTS, TODAY, TODAY + DAY, principal=someone, now=NOW)
        else:
            with pytest.raises(Forbidden):
                await queries.books(Asset.POINTS, TODAY, TODAY + DAY, principal=someone, now=NOW)


accounts = st.sampled_from(["issued", "goodwill", "spent", "expired", "cancelled", "clawed_back", "transfer"])


@given(st.lists(st.tuples(accounts, st.booleans(), st.integers(0, 10**6)), max_size=20))
def test_vouchers_balance_whatever_moved(moves: list[tuple[str, bool, int]]) -> None:
    flows = [
        Flow("available", account, 0, units) if out else Flow(account, "available", 0, units)
        for account, out, units in moves
    ]
    made = books.books_of(flows, asset=Asset.POINTS, begins=TODAY, ends=TODAY + DAY, points_per_yuan=100)
    lines = books.voucher(made, AccountTerms())
    assert sum(line.debit_fen for line in lines) == sum(line.credit_fen for line in lines)
    assert all(min(line.debit_fen, line.credit_fen) == 0 for line in lines)


@pytest.mark.parametrize("layout", ["kingdee", "yonyou"])
def test_a_voucher_is_read_back_by_any_reader(layout: Any) -> None:
    flows = [Flow("issued", "available", 0, 10_000), Flow("available", "spent", 0, 2500)]
    made = books.books_of(flows, asset=Asset.POINTS, begins=TODAY, ends=TODAY + DAY, points_per_yuan=100)
    text = books.voucher_csv(books.voucher(made, AccountTerms()), layout=layout, day=TODAY, number="7")
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(rows) == 1 + 4
    assert [row[-2:] for row in rows[1:]] == [
        ["100.00", "0.00"],
        ["0.00", "100.00"],
        ["25.00", "0.00"],
        ["0.00", "25.00"],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+cmd", "@SUM(A1)", "\t=1", "＝1"])
def test_nothing_in_a_file_runs(text: str) -> None:
    (row,) = list(csv.reader(io.StringIO(books.as_csv(["x"], [[text]]).removeprefix("\ufeff"))))[1:]
    assert row[0] == f"'{text}"
    assert "-12.5" in books.as_csv(["x"], [["-12.5"]])
