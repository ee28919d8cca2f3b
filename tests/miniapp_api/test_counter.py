"""Staff and partner systems serve members; nobody serves themselves, another store or without leave."""

from loyalty import clock, db
from loyalty.access import Role
from tests.miniapp_api.people import Api, new_member, new_partner, new_staff, new_store
from tests.miniapp_api.test_coupons import new_template

PHONE = "13800138000"


async def found(server: Api, member: Api) -> str:
    """The member's public id, found by the code on their screen."""
    code = (await member.get("/v1/me/code")).json["code"]
    answered = await server.post("/v1/staff/lookups", {"code": code})
    assert answered.status == 200
    return str(answered.json["member"]["id"])


async def test_a_clerk_serves_a_member(api: Api) -> None:
    await new_template("welcome")
    clerk = api.by((await new_staff(store_id=await new_store())).token)
    mine = api.by((await new_member()).token)
    coupon = (await mine.post("/v1/me/coupons", {"template": "welcome"})).json["id"]
    member = await found(clerk, mine)
    bought = await clerk.post("/v1/staff/purchases", {"external_id": "R-1", "member": member, "amount_fen": 12_800})
    assert (bought.status, bought.json["points"]) == (201, 128)
    code = (await mine.get(f"/v1/me/coupons/{coupon}")).json["code"]
    redeemed = await clerk.post("/v1/staff/redemptions", {"code": code, "order": "R-1", "order_fen": 12_800})
    assert (redeemed.status, redeemed.json["discount_fen"]) == (201, 1000)
    again = await clerk.post("/v1/staff/redemptions", {"code": code, "order": "R-2"})
    assert (again.status, again.code) == (409, "redemptions.already_redeemed")
    assert again.json["store"] == "静安店"
    assert "静安店" in again.json["detail"]
    assert [purchase["points"] for purchase in (await mine.get("/v1/me/purchases")).json["items"]] == [128]


async def test_a_code_works_once_and_a_wrong_one_is_not_told_apart(api: Api) -> None:
    clerk = api.by((await new_staff(store_id=await new_store())).token)
    mine = api.by((await new_member()).token)
    code = (await mine.get("/v1/me/code")).json["code"]
    assert (await clerk.post("/v1/staff/lookups", {"code": code})).status == 200
    used = await clerk.post("/v1/staff/lookups", {"code": code})
    wrong = await clerk.post("/v1/staff/lookups", {"code": "1" * len(code)})
    assert used.status == wrong.status == 409
    assert used.code == wrong.code == "member_code.wrong"
    assert await db.fetch_value("SELECT misses FROM attempts") == 2
    for _ in range(3):
        await clerk.post("/v1/staff/lookups", {"code": "1" * len(code)})
    locked = await clerk.post("/v1/staff/lookups", {"code": "1" * len(code)})
    assert (locked.status, locked.code) == (429, "attempts.too_many")
    assert int(locked.headers["Retry-After"]) > 0


async def test_exactly_one_clue(api: Api) -> None:
    clerk = api.by((await new_staff(store_id=await new_store())).token)
    for body in ({}, {"phone": PHONE, "number": "1234567890"}):
        assert (await clerk.post("/v1/staff/lookups", body)).status == 400


async def test_a_clerk_registers_a_member_who_is_then_found(api: Api) -> None:
    clerk = api.by((await new_staff(store_id=await new_store())).token)
    made = await clerk.post("/v1/staff/members", {"phone": "138 0013 8000", "name": "韩梅梅"})
    assert made.status == 201
    assert (made.json["member"]["name"], made.json["member"]["phone"]) == ("韩**", "138****8000")
    assert (await clerk.post("/v1/staff/lookups", {"phone": "+86 13800138000"})).json == made.json
    taken = await clerk.post("/v1/staff/members", {"phone": PHONE})
    assert (taken.status, taken.code) == (409, "member.phone_taken")
    assert (await clerk.post("/v1/staff/lookups", {"phone": "13900139000"})).status == 404


async def test_points_above_the_limit_wait_for_another_person(api: Api) -> None:
    store = await new_store()
    clerk = api.by((await new_staff(store_id=store)).token)
    manager = api.by((await new_staff(Role.MANAGER, store_id=store)).token)
    elsewhere = api.by((await new_staff(Role.MANAGER, store_id=await new_store())).token)
    mine = api.by((await new_member()).token)
    member = await found(clerk, mine)
    small = await clerk.post("/v1/staff/point-grants", {"member": member, "points": 50, "reason": "补签"})
    assert (small.json["status"], small.json["balance"]) == ("granted", 50)
    large = await clerk.post("/v1/staff/point-grants", {"member": member, "points": 400, "reason": "投诉补偿"})
    assert large.json["status"] == "pending"
    path = f"/v1/staff/approvals/{large.json['approval']}/decision"
    assert (await clerk.post(path, {"approve": True})).status == 403
    assert (await elsewhere.post(path, {"approve": True})).status == 404
    waiting = (await manager.get("/v1/staff/approvals")).json["items"]
    assert [(asked["amount"], asked["reason"]) for asked in waiting] == [(400, "投诉补偿")]
    decided = await manager.post(path, {"approve": True})
    assert decided.json["status"] == "approved"
    assert (await manager.post(path, {"approve": False})).code == "approvals.already_decided"
    assert (await mine.get("/v1/me")).json["points"] == 450
    assert (await manager.get("/v1/staff/today")).json["points_granted"] == 450


async def test_nobody_serves_themselves(api: Api) -> None:
    me = await new_member()
    clerk = api.by((await new_staff(store_id=await new_store(), member_id=me.id)).token)
    own = await found(clerk, api.by(me.token))
    for path, body in (
        ("/v1/staff/purchases", {"external_id": "R-9", "member": own, "amount_fen": 100_000}),
        ("/v1/staff/point-grants", {"member": own, "points": 10, "reason": "x"}),
    ):
        answered = await clerk.post(path, body)
        assert (answered.status, answered.code) == (403, "access.own_membership")
    assert await db.fetch_value("SELECT count(*) FROM audit_entry WHERE outcome = 'refused'") == 2


async def test_a_partner_reports_a_purchase_and_its_refund(api: Api) -> None:
    till = api.by(await new_partner(await new_store()))
    mine = api.by((await new_member()).token)
    code = (await mine.get("/v1/me/code")).json["code"]
    member = (await till.post("/v1/partner/lookups", {"code": code})).json["id"]
    at = clock.now().isoformat()
    report = {"external_id": "POS-1", "member": member, "amount_fen": 10_000, "occurred_at": at}
    first = await till.post("/v1/partner/purchases", report)
    assert (first.status, first.json["points"], first.json["replayed"]) == (201, 100, False)
    again = await till.post("/v1/partner/purchases", report)
    assert (again.json["id"], again.json["replayed"]) == (first.json["id"], True)
    changed = await till.post("/v1/partner/purchases", {**report, "amount_fen": 20_000})
    assert (changed.status, changed.code) == (409, "purchases.key_reused")
    refund = {"external_id": "POS-1-R", "purchase": "POS-1", "amount_fen": 4_000, "occurred_at": at}
    assert (await till.post("/v1/partner/refunds", refund)).json["points_taken"] == 40
    too_much = await till.post("/v1/partner/refunds", {**refund, "external_id": "POS-1-R2", "amount_fen": 9_000})
    assert (too_much.status, too_much.code) == (409, "refunds.too_large")
    assert (await mine.get("/v1/me")).json["points"] == 60


async def test_a_partner_cannot_refund_the_purchase_of_another(api: Api) -> None:
    one, two = api.by(await new_partner()), api.by(await new_partner())
    mine = api.by((await new_member()).token)
    code = (await mine.get("/v1/me/code")).json["code"]
    member = (await one.post("/v1/partner/lookups", {"code": code})).json["id"]
    at = clock.now().isoformat()
    await one.post(
        "/v1/partner/purchases", {"external_id": "A-1", "member": member, "amount_fen": 10_000, "occurred_at": at}
    )
    refund = {"external_id": "B-1", "purchase": "A-1", "amount_fen": 10_000, "occurred_at": at}
    assert (await two.post("/v1/partner/refunds", refund)).code == "refunds.purchase_unknown"
