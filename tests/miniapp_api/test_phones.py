"""Proving a number by SMS, and claiming one that another member holds."""

import pytest

from loyalty import clock, config, db
from loyalty.reach import service as reach
from miniapp_api.context import ApiContext
from tests.miniapp_api.people import Api, new_member

PHONE = "+8613800138000"


class Phones:
    """An SMS provider that keeps what it delivers."""

    def __init__(self) -> None:
        self.delivered: list[tuple[str, str]] = []
        self.is_up = True

    async def send_code(self, phone: str, code: str) -> bool:
        if self.is_up:
            self.delivered.append((phone, code))
        return self.is_up


@pytest.fixture
def sms() -> Phones:
    return Phones()


@pytest.fixture
def context(settings: config.Settings, sms: Phones) -> ApiContext:
    return ApiContext(settings=settings, sms=sms)


async def test_a_number_is_bound_with_its_code(api: Api, sms: Phones) -> None:
    mine = api.by((await new_member()).token)
    sent = await mine.post("/v1/me/phone/sms", {"phone": "138 0013 8000"})
    assert (sent.status, sent.json["phone"]) == (202, "138****8000")
    ((number, code),) = sms.delivered
    assert number == PHONE
    assert code not in sent.body.decode()
    wrong = await mine.post("/v1/me/phone/verify", {"phone": PHONE, "code": "000000" if code != "000000" else "111111"})
    assert (wrong.status, wrong.code) == (409, "phone.wrong_code")
    assert await db.fetch_value("SELECT attempts FROM phone_code") == 1, "a miss is committed"
    bound = await mine.post("/v1/me/phone/verify", {"phone": PHONE, "code": code})
    assert (bound.status, bound.json["phone"]) == (200, "138****8000")
    soon = await mine.post("/v1/me/phone/sms", {"phone": PHONE})
    assert (soon.status, soon.code) == (429, "phone.codes_too_often")


async def test_a_provider_that_is_away_is_told(api: Api, sms: Phones) -> None:
    sms.is_up = False
    answered = await api.by((await new_member()).token).post("/v1/me/phone/sms", {"phone": PHONE})
    assert (answered.status, answered.code) == (503, "sms.not_sent")


async def test_a_taken_number_is_claimed_and_its_holder_objects(api: Api, sms: Phones) -> None:
    holder, other = api.by((await new_member()).token), api.by((await new_member()).token)
    await holder.post("/v1/me/phone/sms", {"phone": PHONE})
    await holder.post("/v1/me/phone/verify", {"phone": PHONE, "code": sms.delivered[-1][1]})
    await db.execute("UPDATE phone_code SET created_at = created_at - interval '2 minutes'")
    await other.post("/v1/me/phone/sms", {"phone": PHONE})
    proof = {"phone": PHONE, "code": sms.delivered[-1][1]}
    taken = await other.post("/v1/me/phone/verify", proof)
    assert (taken.status, taken.code) == (409, "member.phone_taken")
    claimed = await other.post("/v1/me/phone/claims", proof)
    assert claimed.status == 202
    path = f"/v1/me/phone/claims/{claimed.json['id']}/objection"
    assert (await other.post(path)).status == 404, "only the holder objects"
    assert (await holder.post(path)).status == 204
    assert (await holder.get("/v1/me")).json["phone"] == "138****8000"


async def test_subscribe_answers_are_noted(api: Api) -> None:
    member = await new_member()
    answered = await api.by(member.token).post(
        "/v1/me/subscriptions", {"choices": {"tier-raised": "accept", "coupons": "reject"}}
    )
    assert answered.json == {"count": 2}
    assert member.identity_id is not None
    async with db.unit_of_work():
        assert await reach.take_grant(member.identity_id, "tier-raised", now=clock.now())
        assert not await reach.take_grant(member.identity_id, "coupons", now=clock.now())


async def test_the_check_in_calendar(api: Api) -> None:
    mine = api.by((await new_member()).token)
    empty = (await mine.get("/v1/me/check-ins")).json
    assert (empty["streak"], empty["done_today"], empty["days"]) == (0, False, [])
    await mine.post("/v1/me/check-ins")
    seen = (await mine.get("/v1/me/check-ins?days=7")).json
    assert (seen["streak"], seen["done_today"], seen["days"][0]["points"]) == (1, True, 5)
