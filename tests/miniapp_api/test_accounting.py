"""Finance reads the books over HTTP."""

from datetime import timedelta

from loyalty import clock
from loyalty.access import Role
from loyalty.program.terms import Terms
from tests.loyalty.people import give_points
from tests.miniapp_api.people import Api, new_member, new_staff


async def test_books_voucher_and_ageing(api: Api) -> None:
    finance = api.by((await new_staff(Role.FINANCE)).token)
    await give_points((await new_member()).id, 5000, now=clock.now())
    today = clock.now().astimezone(Terms().calendar).date()
    period = f"begins={today}&ends={today + timedelta(days=1)}"
    seen = (await finance.get(f"/v1/console/accounting/books?{period}")).json
    assert (seen["opening"], seen["issued"], seen["closing"], seen["liability_fen"]) == (0, 5000, 5000, 5000)
    ageing = (await finance.get(f"/v1/console/accounting/ageing?{period}")).json
    assert ageing["cohorts"][0]["outstanding"] == 5000
    for path in ("books.csv", "voucher.csv"):
        answered = await finance.get(f"/v1/console/accounting/{path}?{period}")
        assert answered.headers["Content-Type"].startswith("text/csv")
        assert answered.body.startswith(b"\xef\xbb\xbf")
    backwards = await finance.get(f"/v1/console/accounting/books?begins={today}&ends={today}")
    assert (backwards.status, backwards.code) == (400, "invalid")


async def test_case_66_over_http(api: Api) -> None:
    finance = api.by((await new_staff(Role.FINANCE)).token)
    sale = {"sales": "100000", "points": 10_000, "value": "1", "expected_percent": "97"}
    periods = [{"redeemed": 4500, "expected": 9700}, {"redeemed": 4000, "expected": 9900}]
    exact = await finance.post("/v1/console/accounting/deferred-revenue", {**sale, "periods": periods})
    assert exact.json["points"] == "8842.30"
    rounded = {**sale, "deferred": "9000", "periods": periods}
    seen = (await finance.post("/v1/console/accounting/deferred-revenue", rounded)).json
    assert [one["revenue"] for one in seen["periods"]] == ["4175.26", "3552.01"]
    impossible = {**rounded, "periods": [{"redeemed": 10, "expected": 9}]}
    refused = await finance.post("/v1/console/accounting/deferred-revenue", impossible)
    assert (refused.status, refused.code) == (400, "accounting.estimate_impossible")
