"""The mall over HTTP: written, exchanged, sent, collected, given back, exported."""

from loyalty.access import Role
from tests.loyalty.mall.goods import document
from tests.loyalty.people import give_points
from tests.miniapp_api.people import Api, new_member, new_staff, new_store


async def written(api: Api, **more: object) -> Api:
    marketer = api.by((await new_staff(Role.MARKETER)).token)
    done = await marketer.post("/v1/console/mall/items", {"version": 0, "item": document(**more)})  # type: ignore[arg-type]
    assert done.status == 201, done.body
    return marketer


async def a_member(api: Api) -> Api:
    member = await new_member()
    await give_points(member.id, 1000)
    return api.by(member.token)


async def test_from_item_to_handing_over(api: Api) -> None:
    marketer = await written(api)
    mine = await a_member(api)
    (offer,) = (await mine.get("/v1/mall/items")).json["items"]
    assert (offer["points"], offer["left"], offer["may_exchange"]) == (100, 5, True)
    order = await mine.post("/v1/me/mall/orders", {"item": "mug"}, key="first-wish")
    assert order.status == 201, order.body
    assert (await mine.post("/v1/me/mall/orders", {"item": "mug"}, key="first-wish")).json == order.json
    clerk = api.by((await new_staff(Role.CLERK, store_id=await new_store())).token)
    (waits,) = (await clerk.get("/v1/staff/mall/orders")).json["items"]
    assert waits["collection_code"] is None
    code = {"code": order.json["collection_code"]}
    assert (await clerk.post("/v1/staff/mall/collections", code)).json["state"] == "collected"
    assert (await clerk.post("/v1/staff/mall/collections", code)).code == "mall.order_over"
    assert (await mine.call("DELETE", f"/v1/me/mall/orders/{order.json['id']}")).code == "mall.order_over"
    whole = await mine.get(f"/v1/me/mall/orders/{order.json['id']}")
    assert [step["state"] for step in whole.json["steps"]] == ["to_collect", "collected"]
    other = await a_member(api)
    assert (await other.get(f"/v1/me/mall/orders/{order.json['id']}")).status == 404
    assert (await other.call("DELETE", f"/v1/me/mall/orders/{order.json['id']}")).status == 404
    assert (await marketer.get("/v1/console/mall/orders.csv")).code == "access.needs_another"
    finance = api.by((await new_staff(Role.FINANCE)).token)
    table = (await finance.get("/v1/console/mall/orders.csv")).body.decode("utf-8-sig")
    assert '"mug","collected"' in table


async def test_sold_out_is_409_with_words(api: Api) -> None:
    await written(api, stock=0)
    mine = await a_member(api)
    refused = await mine.post("/v1/me/mall/orders", {"item": "mug"})
    assert (refused.status, refused.code) == (409, "mall.sold_out")
    assert refused.json["detail"]


async def test_sent_with_a_tracking_number_and_given_back(api: Api) -> None:
    await written(api, money_fen=500)
    mine = await a_member(api)
    assert (await mine.post("/v1/me/mall/orders", {"item": "mug", "delivery": "ship"})).code == "mall.delivery_invalid"
    order = (await mine.post("/v1/me/mall/orders", {"item": "mug", "delivery": "ship", "address": "上海 1 号"})).json
    assert order["state"] == "awaiting_payment"
    store_id = await new_store()
    clerk = api.by((await new_staff(Role.CLERK, store_id=store_id)).token)
    manager = api.by((await new_staff(Role.MANAGER, store_id=store_id)).token)
    path = f"/v1/staff/mall/orders/{order['id']}"
    assert (await clerk.post(f"{path}/payment", {"reference": "r1"})).json["state"] == "to_ship"
    assert (await clerk.get(f"{path}/address")).json["address"] == "上海 1 号"
    assert (await clerk.post(f"{path}/shipment", {"tracking": "SF1"})).json["tracking"] == "SF1"
    assert (await clerk.post(f"{path}/refund", {"reason": "x"})).status == 403
    assert (await mine.post(f"/v1/me/mall/orders/{order['id']}/arrival")).json["state"] == "delivered"
    assert (await manager.post(f"{path}/refund", {"reason": "破损"})).json["state"] == "refunded"
    assert (await mine.get("/v1/me")).json["points"] == 1000


async def test_codes_are_uploaded_and_shown_to_their_owner(api: Api) -> None:
    marketer = await written(api, good={"kind": "code"}, stock=0)
    assert (await marketer.post("/v1/console/mall/items/mug/codes", {"codes": ["A1", "A1", "B2"]})).json == {
        "added": 2,
        "left": 2,
    }
    mine = await a_member(api)
    order = (await mine.post("/v1/me/mall/orders", {"item": "mug"})).json
    assert (await mine.post(f"/v1/me/mall/orders/{order['id']}/code")).json == {"code": "A1"}
    off = await marketer.call("PUT", "/v1/console/mall/items/mug/status", {"on": False})
    assert off.json["status"] == "off"
    assert (await mine.get("/v1/mall/items")).json["items"] == []
