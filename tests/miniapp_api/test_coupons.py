"""Claiming over HTTP: exact under bursts, one answer per key, codes for the holder only."""

import asyncio
from datetime import timedelta

from loyalty import clock, db
from loyalty.coupon_templates import service as templates
from loyalty.coupon_templates.rules import AmountOff, NewTemplate
from tests.miniapp_api.people import SYSTEM, Api, new_member

BURST = 200
STOCK = 20


async def new_template(
    code: str,
    *,
    stock: int | None = None,
    limit: int = 1,
    claim_in_days: int = -1,
    off_fen: int = 1000,
    min_spend_fen: int = 0,
) -> None:
    """A template of ten yuan off, unless said otherwise."""
    now = clock.now()
    template = NewTemplate(
        code=code,
        name={"zh-CN": "十元券", "en": "Ten yuan off"},
        worth=AmountOff(off_fen=off_fen),
        min_spend_fen=min_spend_fen,
        stock=stock,
        per_member_limit=limit,
        claim_from=now + timedelta(days=claim_in_days),
        valid_days=30,
    )
    async with db.unit_of_work():
        await templates.create_template(template, principal=SYSTEM, now=now)


async def test_claim_hold_and_show(api: Api) -> None:
    await new_template("welcome", stock=5)
    mine = api.by((await new_member()).token)
    offers = (await mine.get("/v1/coupons/claimable")).json["items"]
    assert [(offer["template"], offer["left"], offer["refusal"]) for offer in offers] == [("welcome", 5, None)]
    claimed = await mine.post("/v1/me/coupons", {"template": "welcome"})
    assert claimed.status == 201
    held = (await mine.get("/v1/me/coupons?status=issued")).json["items"]
    assert [coupon["id"] for coupon in held] == [claimed.json["id"]]
    shown = await mine.get(f"/v1/me/coupons/{claimed.json['id']}")
    assert len(shown.json["code"].replace("-", "")) == 13
    assert shown.json["code"].replace("-", "") != claimed.json["id"]


async def test_the_limit_and_unknown_and_early_are_refused(api: Api) -> None:
    await new_template("once")
    await new_template("early", claim_in_days=1)
    mine = api.by((await new_member()).token)
    await mine.post("/v1/me/coupons", {"template": "once"})
    codes = [(await mine.post("/v1/me/coupons", {"template": code})).code for code in ("once", "early", "absent")]
    assert codes == ["coupons.limit_reached", "coupons.not_yet", "coupon_templates.unknown"]


async def test_a_coupon_of_another_member_does_not_exist(api: Api) -> None:
    await new_template("welcome")
    mine, other = api.by((await new_member()).token), api.by((await new_member()).token)
    coupon = (await mine.post("/v1/me/coupons", {"template": "welcome"})).json["id"]
    theirs, absent = await other.get(f"/v1/me/coupons/{coupon}"), await other.get("/v1/me/coupons/0000000000000")
    assert theirs.status == absent.status == 404
    assert {**theirs.json, "request_id": ""} == {**absent.json, "request_id": ""}


async def test_a_burst_gives_exactly_the_stock(api: Api) -> None:
    await new_template("rush", stock=STOCK)
    people = [api.by((await new_member()).token) for _ in range(BURST)]
    async with asyncio.TaskGroup() as burst:
        tasks = [burst.create_task(person.post("/v1/me/coupons", {"template": "rush"})) for person in people]
    statuses = [task.result().status for task in tasks]
    assert statuses.count(201) == STOCK
    assert statuses.count(409) == BURST - STOCK
    assert await db.fetch_value("SELECT count(*) FROM coupon") == STOCK
    assert await db.fetch_value("SELECT issued FROM coupon_template") == STOCK


async def test_a_storm_of_one_key_gives_one_coupon(api: Api) -> None:
    await new_template("many", limit=50)
    mine = api.by((await new_member()).token)
    async with asyncio.TaskGroup() as storm:
        body = {"template": "many"}
        tasks = [storm.create_task(mine.post("/v1/me/coupons", body, key="one-claim")) for _ in range(BURST)]
    answers = [task.result() for task in tasks]
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert await db.fetch_value("SELECT count(*) FROM coupon") == 1


async def test_one_key_for_two_claims_at_once_is_refused_for_one_of_them(api: Api) -> None:
    await new_template("many", limit=50)
    await new_template("more", limit=50)
    mine = api.by((await new_member()).token)
    async with asyncio.TaskGroup() as pair:
        one = pair.create_task(mine.post("/v1/me/coupons", {"template": "many"}, key="one-key-two"))
        two = pair.create_task(mine.post("/v1/me/coupons", {"template": "more"}, key="one-key-two"))
    answers = sorted((one.result(), two.result()), key=lambda answer: answer.status)
    assert [answer.status for answer in answers] == [201, 409]
    assert answers[1].code == "idempotency.key_reused"


async def test_a_refused_claim_is_answered_the_same_again(api: Api) -> None:
    await new_template("none", stock=0)
    mine = api.by((await new_member()).token)
    first = await mine.post("/v1/me/coupons", {"template": "none"}, key="sold-out-1")
    again = await mine.post("/v1/me/coupons", {"template": "none"}, key="sold-out-1")
    assert (first.status, first.code) == (409, "coupons.sold_out")
    assert again.body == first.body
