"""Refunds and deductions by staff over HTTP, and the approvals they wait for."""

from typing import Any

from loyalty import db
from loyalty.access import Role
from tests.miniapp_api.people import Api, new_member, new_staff, new_store
from tests.miniapp_api.test_counter import found


class Desk:
    manager: Api
    other: Api
    elsewhere: Api
    mine: Api
    member: str
    purchase: str

    async def opened(self, api: Api, amount_fen: int) -> "Desk":
        store = await new_store()
        self.manager = api.by((await new_staff(Role.MANAGER, store_id=store)).token)
        self.other = api.by((await new_staff(Role.MANAGER, store_id=store)).token)
        self.elsewhere = api.by((await new_staff(Role.MANAGER, store_id=await new_store())).token)
        self.mine = api.by((await new_member()).token)
        self.member = await found(self.manager, self.mine)
        sale = {"external_id": "R-1", "member": self.member, "amount_fen": amount_fen}
        self.purchase = (await self.manager.post("/v1/staff/purchases", sale)).json["id"]
        return self

    def asked(self, money_fen: int, **more: Any) -> dict[str, Any]:
        return {
            "purchase": self.purchase,
            "method": "readjudicate",
            "money_fen": money_fen,
            "reason": "质量问题",
        } | more


async def test_from_preview_to_refund_once(api: Api) -> None:
    desk = await Desk().opened(api, 12_800)
    shown = await desk.manager.post("/v1/staff/refund-previews", {"purchase": desk.purchase})
    first, second = shown.json["items"]
    assert (first["figures"]["method"], second["figures"]["method"]) == ("readjudicate", "proportional")
    assert (first["figures"]["money_fen"], first["figures"]["points_taken"]) == (12_800, 128)
    assert not first["needs_another"]
    wrong = await desk.manager.post("/v1/staff/refunds", desk.asked(12_000))
    assert (wrong.status, wrong.code) == (409, "staff_refunds.quote_changed")
    done = await desk.manager.post("/v1/staff/refunds", desk.asked(12_800), key="refund-once")
    assert (done.status, done.json["status"], done.json["figures"]["points_taken"]) == (201, "posted", 128)
    assert (await desk.manager.post("/v1/staff/refunds", desk.asked(12_800), key="refund-once")).json == done.json
    assert (await desk.manager.post("/v1/staff/refunds", desk.asked(12_800))).code == "refunds.too_large"
    assert await db.fetch_value("SELECT count(*) FROM refund") == 1
    assert (await desk.mine.get("/v1/me")).json["points"] == 0


async def test_above_the_limit_another_manager_decides(api: Api) -> None:
    desk = await Desk().opened(api, 60_000)
    waiting = await desk.manager.post("/v1/staff/refunds", desk.asked(60_000))
    assert (waiting.json["status"], waiting.json["refund"]) == ("pending", None)
    (listed,) = (await desk.other.get("/v1/staff/approvals")).json["items"]
    assert (listed["kind"], listed["amount"], listed["unit"], listed["reason"]) == ("refund", 60_000, "fen", "质量问题")
    assert listed["details"]["receipt"] == "R-1"
    path = f"/v1/staff/approvals/{waiting.json['approval']}/decision"
    assert (await desk.manager.post(path, {"approve": True})).code == "access.own_request"
    assert (await desk.elsewhere.post(path, {"approve": True})).status == 404
    assert (await desk.other.post(path, {"approve": True})).json["status"] == "approved"
    assert await db.fetch_value("SELECT money_fen FROM refund") == 60_000


async def test_foreign_and_unknown_purchases_are_not_there(api: Api) -> None:
    desk = await Desk().opened(api, 12_800)
    foreign = await desk.elsewhere.post("/v1/staff/refund-previews", {"purchase": desk.purchase})
    assert (foreign.status, foreign.code) == (404, "refunds.purchase_unknown")
    other = desk.purchase[:-1] + ("0" if desk.purchase[-1] != "0" else "1")
    assert (await desk.manager.post("/v1/staff/refund-previews", {"purchase": other})).status == 404
    clerk = api.by((await new_staff(store_id=await new_store())).token)
    assert (await clerk.post("/v1/staff/refund-previews", {"purchase": desk.purchase})).status == 403


async def test_points_are_taken_or_wait(api: Api) -> None:
    desk = await Desk().opened(api, 100_000)
    taken = await desk.manager.post(
        "/v1/staff/point-deductions", {"member": desk.member, "points": 300, "reason": "多记"}
    )
    assert (taken.status, taken.json["status"], taken.json["taken"]) == (201, "posted", 300)
    waits = await desk.manager.post(
        "/v1/staff/point-deductions", {"member": desk.member, "points": 600, "reason": "多记"}
    )
    assert waits.json["status"] == "pending"
    decided = await desk.other.post(f"/v1/staff/approvals/{waits.json['approval']}/decision", {"approve": True})
    assert (decided.json["kind"], decided.json["unit"]) == ("points_deduction", "points")
    assert (await desk.mine.get("/v1/me")).json["points"] == 100
    (movement, *_) = (await desk.mine.get("/v1/me/points")).json["items"]
    assert (movement["kind"], movement["delta"]) == ("staff_deduction", -600)
