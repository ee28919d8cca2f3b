"""Sales and returns as tills report them: receipts that add up, points as money, waiting, batches, claw-backs."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from loyalty import clock, db
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger
from loyalty.program import queries as program
from loyalty.program import service as publication
from loyalty.program.terms import ClawBackTerms, PointsTerms, RedemptionTerms, Terms
from tests.loyalty.people import give_points
from tests.loyalty.processes import side_by_side
from tests.miniapp_api.people import Api, LoggedIn, new_member, new_partner


async def in_force(**sections: Any) -> None:
    now = clock.now()
    async with db.unit_of_work():
        await publication.publish(Terms(**sections), by="test", effective_from=now - timedelta(days=400), now=now)
    program.forget()


class Shop:
    """A till, a member with a phone in hand, and what they see."""

    def __init__(self, api: Api, till: Api, who: LoggedIn, member: str) -> None:
        self.till, self.who, self.member = till, who, member
        self.phone = api.by(who.token)

    async def sells(self, number: str, amount_fen: int, *, at: datetime | None = None, **more: Any) -> Any:
        when = (at or clock.now()).isoformat()
        sale = {"external_id": number, "member": self.member, "amount_fen": amount_fen, "occurred_at": when, **more}
        return await self.till.post("/v1/partner/purchases", sale)

    async def takes_back(self, number: str, purchase: str, **more: Any) -> Any:
        back = {"external_id": number, "purchase": purchase, "occurred_at": clock.now().isoformat(), **more}
        return await self.till.post("/v1/partner/refunds", back)

    async def points(self) -> int:
        assert [row async for finding in fsck.check_all() for row in finding.broken] == []
        return (await ledger.balances([self.who.id], at=clock.now()))[self.who.id].points


@pytest.fixture
async def shop(api: Api) -> Shop:
    who = await new_member()
    me = (await api.by(who.token).get("/v1/me")).json
    return Shop(api, api.by(await new_partner()), who, me["id"])


def line(no: int, amount_fen: int, **more: Any) -> dict[str, Any]:
    return {"no": no, "amount_fen": amount_fen, **more}


async def test_a_receipt_that_does_not_add_up_says_where(shop: Shop) -> None:
    uneven = await shop.sells("A", 1000, lines=[line(1, 400), line(2, 500)])
    assert (uneven.status, uneven.code) == (400, "purchases.uneven")
    tenders = await shop.sells("A", 1000, tenders={"cash": 900, "points": 200})
    assert tenders.code == "purchases.uneven"
    twice = await shop.sells("A", 1000, lines=[line(1, 500), line(1, 500)])
    assert twice.code == "purchases.line_repeated"
    assert (await shop.sells("A", 1000, lines=[line(1, 400), line(2, 600)])).status == 201


async def test_case_39_a_voided_line_earns_nothing(shop: Shop) -> None:
    sold = await shop.sells("A", 10_000, lines=[line(1, 10_000), line(2, 5000, voided=True)])
    assert sold.json["points"] == 100


async def test_case_38_and_32_points_pay_and_come_back(shop: Shop) -> None:
    await give_points(shop.who.id, 3000, now=clock.now())
    sold = await shop.sells("A", 10_000, lines=[line(1, 5000), line(2, 5000)], tenders={"points": 2000, "wechat": 8000})
    # ¥20 were paid with 2,000 points: the other ¥80 earn.
    assert (sold.json["points"], sold.json["points_spent"]) == (80, 2000)
    assert await shop.points() == 3000 - 2000 + 80
    back = await shop.takes_back("R", "A", lines=[{"no": 1}])
    assert (back.json["money_fen"], back.json["points_returned"], back.json["points_taken"]) == (4000, 1000, 40)
    assert await shop.points() == 3000 - 2000 + 80 + 1000 - 40
    rest = await shop.takes_back("R2", "A", lines=[{"no": 2}])
    assert (rest.json["money_fen"], rest.json["points_returned"], rest.json["points_taken"]) == (4000, 1000, 40)
    assert await shop.points() == 3000


async def test_a_sale_that_points_cannot_pay_is_not_recorded(shop: Shop) -> None:
    await give_points(shop.who.id, 100, now=clock.now())
    short = await shop.sells("A", 10_000, tenders={"points": 2000, "cash": 8000})
    assert (short.status, short.code) == (409, "ledger.not_enough")
    assert await shop.points() == 100
    assert await db.fetch_value("SELECT count(*) FROM purchase") == 0
    # The same number with another tender is another try, not another purchase.
    assert (await shop.sells("A", 10_000, tenders={"cash": 10_000})).status == 201


async def test_what_points_may_pay_is_the_programmes_decision(shop: Shop) -> None:
    await in_force(redemption=RedemptionTerms(points_per_yuan=100, multiple=50, min_points=100, max_percent=50))
    await give_points(shop.who.id, 10_000, now=clock.now())
    for fen in (50, 125, 5100):
        assert (await shop.sells("A", 10_000, tenders={"points": fen, "cash": 10_000 - fen})).code == (
            "purchases.points_not_taken"
        ), fen
    assert (await shop.sells("A", 10_000, tenders={"points": 5000, "cash": 5000})).status == 201


async def test_case_45_an_offline_till_uploads_twice_and_again(shop: Shop) -> None:
    at = (clock.now() - timedelta(hours=5)).isoformat()
    items = [
        {"external_id": f"dev7-{n}", "member": shop.member, "amount_fen": 1000 * n, "occurred_at": at}
        for n in (1, 2, 3)
    ]
    bad = {**items[0], "external_id": "dev7-9", "amount_fen": 1000, "tenders": {"cash": 1}}
    first = await shop.till.post("/v1/partner/purchases/batch", {"items": [*items, bad]})
    assert (first.json["recorded"], first.json["refused"]) == (3, 1)
    assert first.json["items"][3]["refusal"] == "purchases.uneven"
    for _ in range(2):
        again = await shop.till.post("/v1/partner/purchases/batch", {"items": items})
        assert [item["recorded"]["replayed"] for item in again.json["items"]] == [True] * 3
    assert await shop.points() == 60


async def test_case_23_points_wait_for_the_return_window(shop: Shop) -> None:
    await in_force(points=PointsTerms(pending_days=7))
    now = clock.now()
    await shop.sells("A", 10_000, to_deliver=True)
    assert await shop.points() == 0
    clock.shift(timedelta(days=4))
    received = await shop.till.post(
        "/v1/partner/receipts", {"purchase": "A", "received_at": (now + timedelta(days=4)).isoformat()}
    )
    assert received.status == 201
    usable = datetime.fromisoformat(received.json["usable_from"])
    zone = Terms().calendar
    assert usable.astimezone(zone).date() == ((now + timedelta(days=4)).astimezone(zone) + timedelta(days=7)).date()
    twice = await shop.till.post(
        "/v1/partner/receipts", {"purchase": "A", "received_at": (now + timedelta(days=4)).isoformat()}
    )
    assert twice.code == "purchases.nothing_waits"
    assert await shop.points() == 0
    clock.shift(timedelta(days=12))
    assert await shop.points() == 100


async def test_case_23_a_refund_in_the_window_cancels_what_waits(shop: Shop) -> None:
    await in_force(points=PointsTerms(pending_days=7))
    await give_points(shop.who.id, 50, now=clock.now())
    await shop.sells("A", 10_000)
    back = await shop.takes_back("R", "A", amount_fen=10_000)
    assert (back.json["points_taken"], back.json["points_forgiven"]) == (100, 0)
    clock.shift(timedelta(days=30))
    assert await shop.points() == 50


@pytest.mark.parametrize(
    ("policy", "balance", "owed", "forgiven"),
    [
        (ClawBackTerms(mode="only_pending"), 20, 0, 100),
        (ClawBackTerms(mode="within_balance"), 0, 0, 80),
        (ClawBackTerms(mode="allow", cap=1000), -80, 80, 0),
        (ClawBackTerms(mode="allow", cap=10), -10, 10, 70),
        (ClawBackTerms(mode="allow", cap=0, cap_by_tier={"basic": 30}), -30, 30, 50),
    ],
)
async def test_case_25_to_29_the_policy_of_a_claw_back(
    shop: Shop, policy: ClawBackTerms, balance: int, owed: int, forgiven: int
) -> None:
    await in_force(claw_back=policy)
    await shop.sells("A", 10_000)
    spent = await shop.sells("B", 80, tenders={"points": 80})
    assert spent.status == 201
    assert await shop.points() == 20
    back = await shop.takes_back("R", "A", amount_fen=10_000)
    assert (back.json["points_owed"], back.json["points_forgiven"]) == (owed, forgiven)
    assert await shop.points() == balance


async def test_points_come_back_before_what_was_earned_is_taken(shop: Shop) -> None:
    await in_force(claw_back=ClawBackTerms(mode="allow", cap=0))
    await give_points(shop.who.id, 5000, now=clock.now())
    await shop.sells("A", 10_000, tenders={"points": 5000, "cash": 5000})
    back = await shop.takes_back("R", "A", amount_fen=10_000)
    # 50 points were earned and 5,000 come back: nothing is forgiven, because the net is what the policy sees.
    assert (back.json["points_returned"], back.json["points_taken"], back.json["points_forgiven"]) == (5000, 50, 0)
    assert await shop.points() == 5000


async def test_buying_earning_spending_and_returning_never_profits(shop: Shop) -> None:
    await shop.sells("A", 10_000)
    await shop.sells("B", 100, tenders={"points": 100})
    for number in ("A", "B"):
        assert (await shop.takes_back(f"R{number}", number, amount_fen=10_000 if number == "A" else 100)).status == 201
    assert await shop.points() <= 100
    assert (await shop.takes_back("R3", "A", amount_fen=1)).code == "refunds.too_large"


async def test_case_54_a_preview_shows_both_ways_before_anything_is_written(shop: Shop) -> None:
    await shop.sells(
        "A",
        30_000,
        lines=[line(1, 17_143, list_fen=20_000), line(2, 12_857, list_fen=15_000)],
        discounts=[{"code": "300-50", "off_fen": 5000, "min_spend_fen": 30_000}],
    )
    back = {"external_id": "R", "purchase": "A", "occurred_at": clock.now().isoformat(), "lines": [{"no": 2}]}
    seen = await shop.till.post("/v1/partner/refunds/preview", back)
    assert [(quote["method"], quote["money_fen"]) for quote in seen.json["items"]] == [
        ("readjudicate", 10_000),
        ("proportional", 12_857),
    ]
    assert await db.fetch_value("SELECT count(*) FROM refund") == 0
    done = await shop.till.post("/v1/partner/refunds", back)
    assert done.json["money_fen"] == 10_000


async def test_a_till_repeats_a_report_after_its_member_was_merged(shop: Shop) -> None:
    from loyalty.merges import service as merges

    first = await shop.sells("A", 10_000, at=clock.now() - timedelta(hours=1))
    other = await new_member()
    async with db.unit_of_work():
        await merges.merge(shop.who.id, other.id, reason="test", now=clock.now())
    again = await shop.till.post(
        "/v1/partner/purchases",
        {
            "external_id": "A",
            "member": shop.member,
            "amount_fen": 10_000,
            "occurred_at": first.json["occurred_at"],
        },
    )
    assert again.json["replayed"] is True


async def test_two_returns_at_once_never_give_back_more(shop: Shop) -> None:
    await give_points(shop.who.id, 5000, now=clock.now())
    await shop.sells("A", 10_000, tenders={"points": 5000, "cash": 5000})
    answers = await side_by_side(shop.takes_back(f"R{n}", "A", amount_fen=4000) for n in range(5))
    assert sorted(answer.status for answer in answers) == [201, 201, 409, 409, 409]
    assert await db.fetch_value("SELECT points_returned FROM purchase") == 4000
    assert await shop.points() == 5000 - 5000 + 50 + 4000 - 40


async def test_too_old_and_too_new(shop: Shop) -> None:
    assert (await shop.sells("A", 100, at=clock.now() - timedelta(days=400))).code == "purchases.too_old"
    assert (await shop.sells("A", 100, at=clock.now() + timedelta(hours=1))).code == "purchases.invalid"
