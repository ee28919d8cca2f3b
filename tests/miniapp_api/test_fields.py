"""A snapshot of what each role sees: a field more is a decision, not an accident."""

from dataclasses import fields, is_dataclass
from typing import Any, Final

from miniapp_api.endpoints import ENDPOINTS
from miniapp_api.endpoints.counter import Served
from miniapp_api.endpoints.me import Me
from miniapp_api.endpoints.sales import RecordedPurchase
from miniapp_api.endpoints.staff import MemberAtCounter
from tests.miniapp_api.people import Api, new_member, new_staff, new_store

SEEN: Final[dict[type[Any], set[str]]] = {
    Me: {
        *("id", "number", "status", "is_registered", "name", "phone", "has_birthday", "locale", "tier", "points"),
        *("growth", "joined_at", "registered_at"),
    },
    Served: {"id", "number", "name", "phone", "status", "tier", "points", "growth", "registered_at"},
    MemberAtCounter: {"member", "purchases", "coupons"},
    RecordedPurchase: {
        *("id", "external_id", "amount_fen", "points", "growth", "points_spent", "occurred_at", "replayed"),
    },
}
# Row numbers and sealed or joinable values of the tables; none of them leaves the house.
NEVER: Final = {
    *("member_id", "staff_id", "partner_id", "identity_id", "store_id", "template_id", "coupon_id", "union_id"),
    *("openid", "external_user_id", "phone_index", "session_key", "token_hash", "fingerprint", "birthday"),
}


def test_the_fields_of_each_role_are_these() -> None:
    for view, names in SEEN.items():
        assert {field.name for field in fields(view)} == names, view


def test_no_result_carries_what_stays_inside() -> None:
    for endpoint in ENDPOINTS:
        if is_dataclass(endpoint.result):
            assert not {field.name for field in fields(endpoint.result)} & NEVER, endpoint.name


async def test_a_clerk_never_sees_a_whole_name_or_number(api: Api) -> None:
    clerk = api.by((await new_staff(store_id=await new_store())).token)
    made = await clerk.post("/v1/staff/members", {"phone": "13800138000", "name": "欧阳小惠"})
    mine = api.by((await new_member()).token)
    await mine.call("PATCH", "/v1/me/profile", {"name": "Margarethe"})
    for answered in (made, await mine.get("/v1/me")):
        for secret in ("13800138000", "欧阳小惠", "Margarethe"):
            assert secret not in answered.body.decode()


async def test_a_write_cannot_set_more_than_it_names(api: Api) -> None:
    mine = api.by((await new_member()).token)
    for name in ("points", "growth", "status", "tier", "phone", "is_minor", "number", "member_id"):
        answered = await mine.call("PATCH", "/v1/me/profile", {"name": "甲", name: 1})
        assert (answered.status, answered.code) == (400, "invalid")
    assert (await mine.get("/v1/me")).json["name"] is None
