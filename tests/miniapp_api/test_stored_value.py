"""Stored value over HTTP: top-ups, payments, permits, and case 63 as clerks and members see it."""

from datetime import timedelta
from typing import Any

from loyalty import clock, db
from loyalty.access import Role
from loyalty.fsck import queries as fsck
from loyalty.program import queries as program
from loyalty.program import service as publishing
from loyalty.program.terms import StoredValueTerms, Terms, TopUpOffer
from tests.loyalty.stored_value.wallets import halves
from tests.miniapp_api.people import Api, new_member, new_partner, new_staff, new_store


async def keeps_stored_value(**values: Any) -> None:
    offers = (TopUpOffer(paid_fen=100_000, bonus_fen=20_000),)
    terms = Terms(stored_value=StoredValueTerms(**{"enabled": True, "offers": offers, **values}))
    async with db.unit_of_work():
        await publishing.publish(terms, by="test", effective_from=clock.now(), now=clock.now())
    program.forget()


class Shop:
    """A shop with a till, a manager and finance, and a member with 1,000 yuan and 200 on top."""

    async def opened(self, api: Api, *, top_up: bool = True) -> "Shop":
        store = await new_store()
        self.till = api.by(await new_partner(store))
        self.manager = api.by((await new_staff(Role.MANAGER, store_id=store)).token)
        self.finance = api.by((await new_staff(Role.FINANCE)).token)
        self.who = await new_member()
        self.phone = api.by(self.who.token)
        self.member = (await self.phone.get("/v1/me")).json["id"]
        if top_up:
            paid = {"member": self.member, "paid_fen": 100_000, "receipt": "R1"}
            self.top_up = (await self.till.post("/v1/partner/top-ups", paid)).json["id"]
        return self

    async def buys(self, number: str, amount: int, *, listed: int | None = None) -> Any:
        lines = [{"no": 1, "amount_fen": amount, **({"list_fen": listed} if listed else {})}]
        sale = {
            "external_id": number,
            "member": self.member,
            "amount_fen": amount,
            "lines": lines,
            "tenders": {"stored_value": amount},
            "occurred_at": clock.now().isoformat(),
        }
        return await self.till.post("/v1/partner/purchases", sale)

    async def back(self, cause: str) -> int:
        found = await self.manager.get(f"/v1/staff/members/{self.member}/stored-value/{self.top_up}/payout")
        return int(next(one["principal_fen"] for one in found.json["calculations"] if one["cause"] == cause))


async def test_case_63_over_http(api: Api) -> None:
    await keeps_stored_value()
    shop = await Shop().opened(api)
    await shop.buys("A", 15_000)
    await shop.buys("B", 15_000)
    assert (await shop.back("merchant"), await shop.back("consumer")) == (75_000, 70_000)
    for number in range(3):
        assert (await shop.buys(f"C{number}", 20_000)).status == 201
    assert (await shop.back("merchant"), await shop.back("consumer")) == (25_000, 10_000)
    seen = await shop.phone.get(f"/v1/me/stored-value/{shop.top_up}/payout")
    assert [one["cause"] for one in seen.json["calculations"]] == ["withdrawal", "merchant", "consumer"]
    assert seen.json["calculations"][1]["articles"] == [15, 16, 17, 18]


async def test_a_list_price_above_what_was_paid_leaves_nothing_and_no_claim(api: Api) -> None:
    await keeps_stored_value(permit_above_fen=500_000)
    shop = await Shop().opened(api)
    assert (await shop.buys("A", 90_000, listed=110_000)).status == 201
    assert (await shop.back("merchant"), await shop.back("consumer")) == (25_000, 0)


async def test_a_payout_waits_for_another_person_and_empties_the_top_up(api: Api) -> None:
    await keeps_stored_value()
    shop = await Shop().opened(api)
    asked = {"member": shop.member, "top_up": shop.top_up, "cause": "consumer", "reason": "搬家"}
    waiting = await shop.manager.post("/v1/staff/payouts", asked)
    assert (waiting.status, waiting.json["status"]) == (201, "waiting")
    decided = await shop.finance.post(f"/v1/staff/approvals/{waiting.json['approval']}/decision", {"approve": True})
    assert decided.status == 200, decided.body
    assert await halves(shop.who.id) == (0, 0)
    seen = (await shop.phone.get("/v1/me/stored-value")).json
    assert [one["status"] for one in seen["top_ups"]] == ["paid_out"]
    again = await shop.manager.post("/v1/staff/payouts", asked)
    assert (again.status, again.code) == (409, "stored_value.paid_out")


async def test_a_larger_payment_needs_a_pin_or_a_code(api: Api) -> None:
    await keeps_stored_value(permit_above_fen=10_000)
    shop = await Shop().opened(api)
    assert (await shop.buys("A", 10_001)).code == "stored_value.permit_needed"
    assert (await shop.phone.call("PUT", "/v1/me/stored-value/pin", {"pin": "123456"})).code == "stored_value.pin_weak"
    assert (await shop.phone.call("PUT", "/v1/me/stored-value/pin", {"pin": "271828"})).status == 204
    permit = {"member": shop.member, "order": "A", "amount_fen": 10_001}
    wrong = await shop.till.post("/v1/partner/stored-value/permits", {**permit, "pin": "314159"})
    assert wrong.code == "stored_value.pin_wrong"
    neither = await shop.till.post("/v1/partner/stored-value/permits", permit)
    assert neither.code == "stored_value.permit_invalid"
    assert (await shop.till.post("/v1/partner/stored-value/permits", {**permit, "pin": "271828"})).status == 201
    assert (await shop.buys("A", 10_001)).status == 201
    code = (await shop.phone.get("/v1/me/code")).json["code"]
    assert (
        await shop.till.post("/v1/partner/stored-value/permits", {**permit, "order": "B", "code": code})
    ).status == 201
    assert (await shop.buys("B", 10_001)).status == 201


async def test_frozen_over_http(api: Api) -> None:
    await keeps_stored_value()
    shop = await Shop().opened(api)
    ice = {"member": shop.member, "frozen": True, "reason": "手机丢了"}
    assert (await shop.manager.post("/v1/staff/stored-value/freeze", ice)).json["frozen"] is True
    assert (await shop.buys("A", 100)).code == "stored_value.frozen"
    assert (await shop.manager.post("/v1/staff/stored-value/freeze", {**ice, "frozen": False})).status == 200
    assert (await shop.buys("A", 100)).status == 201


async def test_online_top_ups_say_what_is_missing(api: Api) -> None:
    shop = await Shop().opened(api, top_up=False)
    assert (await shop.phone.post("/v1/me/top-ups", {"amount_fen": 100})).code == "stored_value.closed"
    await keeps_stored_value()
    assert (await shop.phone.post("/v1/me/top-ups", {"amount_fen": 100})).code == "payments.no_account"
    assert (await shop.phone.get("/v1/me/top-ups/XH1")).code == "payments.unknown"


async def test_the_quarter_agrees_with_what_happened(api: Api) -> None:
    await keeps_stored_value()
    shop = await Shop().opened(api)
    await shop.buys("A", 12_000)
    today = clock.now() + timedelta(hours=8)
    query = f"year={today.year}&quarter={(today.month + 2) // 3}"
    found = (await shop.finance.get(f"/v1/console/stored-value/quarter?{query}")).json
    assert (found["top_ups"], found["paid_fen"], found["bonus_fen"]) == (1, 100_000, 20_000)
    assert (found["used_principal_fen"], found["used_bonus_fen"]) == (10_000, 2_000)
    assert (found["closing_principal_fen"], found["closing_bonus_fen"], found["deposit_fen"]) == (
        90_000,
        18_000,
        18_000,
    )


async def test_an_account_with_money_in_it_is_not_closed(api: Api) -> None:
    await keeps_stored_value(payout_alone_fen=500_000)
    shop = await Shop().opened(api)
    refused = await shop.phone.call("DELETE", "/v1/me", {"confirm": "DELETE"})
    assert (refused.status, refused.code) == (409, "data.stored_value_left")
    asked = {"member": shop.member, "top_up": shop.top_up, "cause": "withdrawal", "reason": "注销"}
    assert (await shop.manager.post("/v1/staff/payouts", asked)).json["status"] == "done"
    exported = (await shop.phone.get("/v1/me/data")).json["data"]
    assert exported["stored_value_paid_out"][0]["calculation"]["principal_fen"] == 100_000
    assert (await shop.phone.call("DELETE", "/v1/me", {"confirm": "DELETE"})).status == 204
    assert [row async for finding in fsck.check_all() for row in finding.broken] == []
