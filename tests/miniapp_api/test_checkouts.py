"""Checkout over HTTP: what was evaluated is what is held and settled; nothing stays reserved; once is once."""

from datetime import timedelta
from typing import Any

from loyalty import clock, db
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger
from loyalty.ledger.operations import Asset
from tests.loyalty.people import give_points
from tests.loyalty.processes import side_by_side
from tests.miniapp_api.people import Answered, Api, LoggedIn, new_member, new_partner, new_store
from tests.miniapp_api.test_coupons import new_template


class Till:
    """A till, and the customer in front of it."""

    who: LoggedIn
    member: str
    coupon: str

    def __init__(self, api: Api) -> None:
        self.api = api

    async def opened(self, points: int = 3000, *, coupon: bool = True) -> "Till":
        self.till = self.api.by(await new_partner(await new_store()))
        self.who = await new_member()
        self.phone = self.api.by(self.who.token)
        self.member = (await self.phone.get("/v1/me")).json["id"]
        if points:
            await give_points(self.who.id, points, now=clock.now())
        if coupon:
            await new_template("ten")
            self.coupon = (await self.phone.post("/v1/me/coupons", {"template": "ten"})).json["id"]
        return self

    def basket(self, order: str, *prices: int, **more: Any) -> dict[str, Any]:
        lines = [{"no": no, "amount_fen": price} for no, price in enumerate(prices, 1)]
        return {"order": order, "member": self.member, "lines": lines, **more}

    async def evaluated(self, order: str, *prices: int, **more: Any) -> Any:
        answered = await self.till.post("/v1/partner/checkouts/evaluate", self.basket(order, *prices, **more))
        assert answered.status == 200, answered.body
        return answered.json

    async def holds(self, order: str, *prices: int, **more: Any) -> Answered:
        price_hash = (await self.evaluated(order, *prices, **more))["price_hash"]
        body = {**self.basket(order, *prices, **more), "price_hash": price_hash}
        return await self.till.post("/v1/partner/checkouts/hold", body)

    async def settles(self, order: str, **more: Any) -> Answered:
        return await self.till.post("/v1/partner/checkouts/settle", {"order": order, **more})

    async def voids(self, order: str) -> Answered:
        return await self.till.post("/v1/partner/checkouts/void", {"order": order})

    async def points(self) -> tuple[int, int]:
        assert [row async for finding in fsck.check_all() for row in finding.broken] == []
        balance = (await ledger.balances([self.who.id], at=clock.now()))[self.who.id].of(Asset.POINTS)
        return balance.available, balance.held


async def test_evaluate_hold_settle(api: Api) -> None:
    till = await Till(api).opened()
    seen = await till.evaluated("A", 6000, 4000, points_fen=2000)
    assert (seen["coupon"], seen["coupon_off_fen"], seen["due_fen"]) == (till.coupon, 1000, 9000)
    assert (seen["points"], seen["money_fen"], seen["earns_points"]) == (2000, 7000, 70)
    assert await till.points() == (3000, 0)
    held = await till.holds("A", 6000, 4000, points_fen=2000)
    assert (held.status, held.json["status"]) == (201, "held")
    assert await till.points() == (1000, 2000)
    done = await till.settles("A", tenders={"points": 2000, "wechat": 7000})
    assert (done.status, done.json["points"], done.json["points_spent"]) == (201, 70, 2000)
    assert await till.points() == (1070, 0)
    again = await till.settles("A", tenders={"points": 2000, "wechat": 7000})
    assert again.json == {**done.json, "replayed": True}
    (used,) = (await till.phone.get("/v1/me/coupons?status=redeemed")).json["items"]
    assert used["id"] == till.coupon
    assert (await till.voids("A")).code == "checkout.over"
    assert (await till.till.get("/v1/partner/checkouts/A")).json["status"] == "settled"


async def test_case_40_what_is_held_is_nobody_elses_and_void_frees_it(api: Api) -> None:
    till = await Till(api).opened(points=100, coupon=False)
    assert (await till.holds("A", 10_000, points_fen=60)).status == 201
    seen = await till.evaluated("B", 10_000, points_fen=50)
    assert seen["points"] == 40
    freed = await till.voids("A")
    assert freed.json["status"] == "voided"
    assert (await till.voids("A")).json["status"] == "voided"
    assert await till.points() == (100, 0)
    assert (await till.settles("A")).code == "checkout.over"


async def test_case_41_and_50_time_alone_frees_points_and_coupon(api: Api) -> None:
    till = await Till(api).opened(points=100)
    held = await till.holds("A", 10_000, points_fen=60)
    assert held.json["coupon"] == till.coupon
    other = await till.evaluated("B", 10_000)
    assert [(one["coupon"], one["unusable"]) for one in other["coupons"]] == [(till.coupon, "locked")]
    # The same order evaluates and holds again without a second lock.
    again = await till.holds("A", 10_000, points_fen=60)
    assert again.json == held.json
    clock.shift(timedelta(minutes=15))
    assert await till.points() == (100, 0)
    assert (await till.holds("B", 10_000)).json["coupon"] == till.coupon
    # Too late: the other order has the coupon, and the points are not held any more.
    late = await till.settles("A")
    assert late.code == "checkout.coupon_held"
    assert (await till.settles("B")).status == 201


async def test_a_price_that_changed_is_refused_with_the_new_one(api: Api) -> None:
    till = await Till(api).opened(coupon=False)
    price_hash = (await till.evaluated("A", 10_000))["price_hash"]
    body = {**till.basket("A", 12_000), "price_hash": price_hash}
    refused = await till.till.post("/v1/partner/checkouts/hold", body)
    assert (refused.status, refused.code) == (409, "checkout.price_changed")
    assert refused.json["due_fen"] == 12_000


async def test_tenders_come_to_what_is_due(api: Api) -> None:
    till = await Till(api).opened(coupon=False)
    await till.holds("A", 10_000, points_fen=1000)
    for tenders in ({"cash": 10_000}, {"cash": 8000, "points": 1000}, {"cash": 9001, "points": 1000}):
        assert (await till.settles("A", tenders=tenders)).code == "checkout.tenders_uneven"
    assert (await till.settles("A", tenders={"cash": 9000, "points": 1000})).status == 201


async def test_an_expired_hold_settles_when_everything_is_still_there(api: Api) -> None:
    till = await Till(api).opened(points=0)
    await till.holds("A", 10_000)
    clock.shift(timedelta(hours=2))
    assert (await till.settles("A")).status == 201


async def test_an_expired_hold_of_points_does_not_settle(api: Api) -> None:
    till = await Till(api).opened(coupon=False)
    await till.holds("A", 10_000, points_fen=1000)
    clock.shift(timedelta(hours=2))
    assert (await till.settles("A")).code == "ledger.hold_over"
    assert await db.fetch_value("SELECT count(*) FROM purchase") == 0
    # The till evaluates and holds anew under the same number, and settles.
    assert (await till.holds("A", 10_000, points_fen=1000)).status == 201
    assert (await till.settles("A")).status == 201


async def test_one_coupon_at_many_tills_at_once(api: Api) -> None:
    till = await Till(api).opened(points=0)
    prices = {order: (await till.evaluated(order, 10_000))["price_hash"] for order in "ABCDEF"}

    async def hold(order: str) -> Answered:
        body = {**till.basket(order, 10_000), "price_hash": prices[order]}
        return await till.till.post("/v1/partner/checkouts/hold", body)

    answers = await side_by_side(hold(order) for order in "ABCDEF")
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert {answer.code for answer in answers if answer.status == 409} <= {
        "checkout.coupon_held",
        "checkout.price_changed",
    }


async def test_settled_and_voided_at_once_is_one_of_them(api: Api) -> None:
    till = await Till(api).opened()
    await till.holds("A", 10_000, points_fen=1000)
    answers = await side_by_side([till.settles("A"), till.voids("A"), till.settles("A"), till.voids("A")])
    settled = [answer for answer in answers if answer.status == 201]
    voided = [answer for answer in answers if answer.status == 200]
    assert bool(settled) != bool(voided)
    assert (await till.points())[1] == 0


async def test_a_refund_of_a_settled_order_gives_points_back(api: Api) -> None:
    till = await Till(api).opened(coupon=False)
    await till.holds("A", 5000, 5000, points_fen=2000)
    await till.settles("A")
    back = {"external_id": "R", "purchase": "A", "occurred_at": clock.now().isoformat(), "lines": [{"no": 1}]}
    done = await till.till.post("/v1/partner/refunds", back)
    assert (done.json["money_fen"], done.json["points_returned"]) == (4000, 1000)
    assert await till.points() == (3000 - 2000 + 80 + 1000 - 40, 0)


async def test_orders_evaluated_at_once_are_each_evaluated_as_if_alone(api: Api) -> None:
    till, other = await Till(api).opened(points=500), await Till(api).opened(points=70, coupon=False)
    for number in range(3):
        assert (await till.holds(f"H{number}", 10_000, points_fen=100, best_coupon=False)).status == 201
    orders = [(till, "H0"), (other, "B"), (till, "C"), (other, "D"), (till, "H1")]
    alone = [await by.evaluated(order, 9_990, 20, points_fen=50_000) for by, order in orders]
    nobody = {**other.basket("N", 100), "member": "0192f0c1-0000-7000-8000-000000000000"}
    *together, unknown = await side_by_side(
        [by.evaluated(order, 9_990, 20, points_fen=50_000) for by, order in orders]
        + [other.till.post("/v1/partner/checkouts/evaluate", nobody)]
    )
    assert together == alone
    # 500 less three times 100 in reserve; what H0 reserved is its own to use.
    assert [each["points"] for each in alone] == [300, 70, 200, 70, 300]
    assert unknown.status == 404


async def test_case_54_a_coupon_that_what_is_kept_no_longer_reaches_is_lost(api: Api) -> None:
    till = await Till(api).opened(points=0, coupon=False)
    await new_template("off50", off_fen=5_000, min_spend_fen=30_000)
    await till.phone.post("/v1/me/coupons", {"template": "off50"})
    assert (await till.holds("A", 20_000, 15_000)).status == 201
    assert (await till.settles("A")).json["amount_fen"] == 30_000
    back = {
        "external_id": "R",
        "purchase": "A",
        "lines": [{"no": 2, "quantity": 1}],
        "occurred_at": clock.now().isoformat(),
    }
    shown = (await till.till.post("/v1/partner/refunds/preview", back)).json["items"]
    assert {one["method"]: one["money_fen"] for one in shown} == {"readjudicate": 10_000, "proportional": 12_857}
    assert (await till.till.post("/v1/partner/refunds", back)).json["money_fen"] == 10_000
    rest = {**back, "external_id": "S", "lines": [{"no": 1, "quantity": 1}]}
    assert (await till.till.post("/v1/partner/refunds", rest)).json["money_fen"] == 20_000
