"""Many people, and one person many times, over HTTP against four real web processes: value moves exactly once."""

import asyncio
import secrets
import time
from uuid import UUID

import pytest

from loyalty import clock, db
from loyalty.access import Role
from loyalty.coupons.rules import code_of
from loyalty.merges import service as merges
from tests.loyalty import shop
from tests.miniapp_api.people import LoggedIn, new_member, new_partner, new_staff, new_store
from tests.support.official_account import OfficialAccount
from tests.support.product import Product
from tests.support.storm import Caller, all_at_once, assert_sound, counted, statuses, times
from xiaohui.bench import members as crowd
from xiaohui.bench import prepared, stage

pytestmark = pytest.mark.timeout(180)

CONNECTIONS = 128


async def claim_storm(product: Product, people: int, *, stock: int) -> None:
    code = (await shop.template(now=clock.now(), stock=stock)).code
    tokens = await crowd.logged_in(people)
    requests = prepared.claims(tokens, code)
    port = int(product.base.rpartition(":")[2])
    report = await asyncio.to_thread(
        stage.drive, product.folder, port, requests, connections=CONNECTIONS, seconds=120.0
    )
    print(f"\n{people} claims of {stock} over {CONNECTIONS} connections: {report}")  # noqa: T201 - asked to be reported
    assert report.statuses == {"201": stock, "409": people - stock}
    assert report.failed == 0
    assert await counted("coupon JOIN coupon_template t ON t.id = template_id", "t.code = $1", code) == stock
    assert await db.fetch_value("SELECT issued FROM coupon_template WHERE code = $1", code) == stock
    await assert_sound()


async def test_2000_people_claim_100_coupons(product: Product) -> None:
    await claim_storm(product, 2_000, stock=100)


@pytest.mark.deep
async def test_10000_people_claim_100_coupons(product: Product) -> None:
    await claim_storm(product, 10_000, stock=100)


async def offer(**values: object) -> str:
    """The code of a new coupon template that can be claimed now."""
    return (await shop.template(now=clock.now(), **values)).code


async def test_one_person_claims_1000_times_and_gets_one(anyone: Caller) -> None:
    person, template = await new_member(), await offer(stock=500)
    heard = await times(1000, lambda _: anyone.by(person.token).post("/v1/me/coupons", {"template": template}))
    assert statuses(heard) == {201: 1, 409: 999}
    assert {answer.code for answer in heard if answer.status == 409} == {"coupons.limit_reached"}
    assert await counted("coupon", "member_id = $1", person.id) == 1
    await assert_sound()


async def test_1000_claims_under_one_key_are_one_claim_and_one_answer(anyone: Caller) -> None:
    person, template = await new_member(), await offer(stock=500, per_member_limit=50)
    key = secrets.token_hex(12)
    heard = await times(1000, lambda _: anyone.by(person.token).post("/v1/me/coupons", {"template": template}, key=key))
    assert statuses(heard) == {201: 1000}
    assert len({answer.body for answer in heard}) == 1
    assert await counted("coupon", "member_id = $1", person.id) == 1


async def public_id(member: LoggedIn) -> str:
    return str(UUID(str(await db.fetch_value("SELECT public_id FROM member WHERE id = $1", member.id))))


def sale(number: str, member: str, amount_fen: int) -> dict[str, object]:
    return {
        "external_id": number,
        "member": member,
        "amount_fen": amount_fen,
        "occurred_at": clock.now().isoformat(),
    }


async def test_1000_reports_of_one_purchase_under_one_key_pay_once(anyone: Caller) -> None:
    person, till = await new_member(), anyone.by(await new_partner())
    report, key = sale("r-1", await public_id(person), 10_000), secrets.token_hex(12)
    heard = await times(1000, lambda _: till.post("/v1/partner/purchases", report, key=key))
    assert statuses(heard) == {201: 1000}
    assert len({answer.body for answer in heard}) == 1
    assert await counted("purchase", "member_id = $1", person.id) == 1
    me = await anyone.by(person.token).get("/v1/me")
    assert me.json["points"] == 100
    await assert_sound()


async def test_a_purchase_reported_under_many_keys_pays_once(anyone: Caller) -> None:
    person, till = await new_member(), anyone.by(await new_partner())
    report = sale("r-2", await public_id(person), 10_000)
    heard = await times(200, lambda _: till.post("/v1/partner/purchases", report))
    assert statuses(heard) == {201: 200}
    assert len({answer.json["id"] for answer in heard}) == 1
    assert (await anyone.by(person.token).get("/v1/me")).json["points"] == 100


async def test_one_callback_delivered_1000_times_is_one_check_in_and_one_answer(
    product: Product, anyone: Caller
) -> None:
    side = OfficialAccount(product.accounts.wechat_oa[0], product.base)
    openid = f"oStorm{secrets.token_hex(8)}"
    message = side.said(openid, "签到", message_id=str(secrets.randbits(62)), at=clock.wall())
    heard = await all_at_once([side.deliver(anyone.session, message) for _ in range(1000)])
    assert {status for status, _ in heard} == {200}
    (words,) = {words for _, words in heard}
    assert words
    member_id = await db.fetch_value("SELECT member_id FROM channel_identity WHERE external_id = $1", openid)
    assert await counted("check_in", "member_id = $1", member_id) == 1
    assert await counted("ledger_entry", "member_id = $1 AND asset = 'points'", member_id) == 1
    await assert_sound()


async def test_a_thousand_check_ins_of_one_person_in_other_words_pay_once(product: Product, anyone: Caller) -> None:
    side = OfficialAccount(product.accounts.wechat_oa[0], product.base)
    openid = f"oStorm{secrets.token_hex(8)}"
    messages = [side.said(openid, "签到", message_id=str(secrets.randbits(62)), at=clock.wall()) for _ in range(1000)]
    heard = await all_at_once([side.deliver(anyone.session, message) for message in messages])
    assert {status for status, _ in heard} == {200}
    member_id = await db.fetch_value("SELECT member_id FROM channel_identity WHERE external_id = $1", openid)
    assert await counted("member") >= 1
    assert await counted("check_in", "member_id = $1", member_id) == 1
    await assert_sound()


async def test_two_clerks_redeem_one_coupon_and_one_of_them_does(anyone: Caller) -> None:
    shop_id, template = await new_store(), await offer(stock=5)
    clerks = [anyone.by((await new_staff(Role.CLERK, store_id=shop_id)).token) for _ in range(2)]
    person = await new_member()
    claimed = await anyone.by(person.token).post("/v1/me/coupons", {"template": template})
    assert claimed.status == 201
    coupon_id = await db.fetch_value("SELECT id FROM coupon WHERE member_id = $1", person.id)
    heard = await times(
        60,
        lambda number: clerks[number % 2].post(
            "/v1/staff/redemptions", {"code": code_of(coupon_id), "order": f"order-{number}", "order_fen": 10_000}
        ),
    )
    assert statuses(heard) == {201: 1, 409: 59}
    assert {answer.code for answer in heard if answer.status == 409} == {"redemptions.already_redeemed"}
    await assert_sound()


async def test_a_storm_of_refunds_gives_back_what_was_paid_and_no_more(anyone: Caller) -> None:
    person, till = await new_member(), anyone.by(await new_partner())
    assert (await till.post("/v1/partner/purchases", sale("r-3", await public_id(person), 10_000))).status == 201

    def refund(number: int) -> dict[str, object]:
        return {
            "external_id": f"back-{number}",
            "purchase": "r-3",
            "amount_fen": 100,
            "occurred_at": clock.now().isoformat(),
        }

    heard = await times(300, lambda number: till.post("/v1/partner/refunds", refund(number % 150)))
    by_status = statuses(heard)
    assert set(by_status) == {201, 409}
    assert await counted("refund r JOIN purchase p ON p.id = r.purchase_id", "p.member_id = $1", person.id) == 100
    me = (await anyone.by(person.token).get("/v1/me")).json
    assert (me["points"], me["growth"]) == (0, 0)
    await assert_sound()


async def test_members_merge_while_both_earn_and_nothing_is_lost(anyone: Caller) -> None:
    till = anyone.by(await new_partner())
    pairs = [(await new_member(), await new_member(channel="telegram")) for _ in range(6)]
    ids = [(await public_id(one), await public_id(other)) for one, other in pairs]
    accepted: list[int] = []

    async def buy(pair: int, number: int) -> None:
        for member in ids[pair]:
            heard = await till.post("/v1/partner/purchases", sale(f"m-{pair}-{number}-{member[:8]}", member, 1_000))
            # A partner that still holds the merged member's id is told so, and nothing is half done.
            assert heard.status in {201, 404, 410}, heard
            if heard.status == 201:
                accepted.append(pair)

    async def merge(pair: int) -> None:
        await asyncio.sleep(0.05)
        one, other = pairs[pair]
        code = (await anyone.by(one.token).post("/v1/me/link-code")).json["code"]
        linked = await anyone.by(other.token).post("/v1/me/link", {"code": code})
        assert linked.status < 300, linked

    started = time.perf_counter()
    await all_at_once([buy(pair, number) for pair in range(6) for number in range(15)] + [merge(n) for n in range(6)])
    print(f"\nmerges under load took {time.perf_counter() - started:.2f} s")  # noqa: T201
    async with db.unit_of_work():
        # What reached a member in the moment of the merge is brought home by the worker's next look.
        assert await merges.settle_late(now=clock.now()) >= len(pairs)
    for pair, (one, _) in enumerate(pairs):
        me = await anyone.by(one.token).get("/v1/me")
        assert me.status == 200, me
        assert me.json["points"] == 10 * accepted.count(pair)
    await assert_sound()
