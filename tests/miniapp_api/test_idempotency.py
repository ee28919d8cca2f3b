"""Same key, same answer: one effect however often and however concurrently a request comes."""

import asyncio

from loyalty import db
from tests.miniapp_api.people import Api, new_member

STORM = 1000


async def test_a_repeat_gets_the_same_bytes(api: Api) -> None:
    mine = api.by((await new_member()).token)
    first = await mine.post("/v1/me/check-ins", key="check-in-1")
    again = await mine.post("/v1/me/check-ins", key="check-in-1")
    assert (again.status, again.body) == (first.status, first.body) == (201, first.body)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_refusal_is_kept_too(api: Api) -> None:
    mine = api.by((await new_member()).token)
    await mine.post("/v1/me/check-ins")
    first = await mine.post("/v1/me/check-ins", key="check-in-2")
    again = await mine.post("/v1/me/check-ins", key="check-in-2")
    assert first.status == 409
    assert again.body == first.body
    assert again.headers["Content-Type"] == first.headers["Content-Type"]


async def test_another_body_under_the_same_key_is_refused(api: Api) -> None:
    mine = api.by((await new_member()).token)
    await mine.call("PATCH", "/v1/me/profile", {"name": "甲"}, key="profile-1")
    other = await mine.call("PATCH", "/v1/me/profile", {"name": "乙"}, key="profile-1")
    assert (other.status, other.code) == (409, "idempotency.key_reused")
    assert (await mine.get("/v1/me")).json["name"] == "甲"


async def test_another_endpoint_under_the_same_key_is_refused(api: Api) -> None:
    mine = api.by((await new_member()).token)
    await mine.post("/v1/me/check-ins", key="one-key-for-two")
    other = await mine.call("PATCH", "/v1/me/profile", {"name": "乙"}, key="one-key-for-two")
    assert other.code == "idempotency.key_reused"


async def test_keys_of_two_callers_never_meet(api: Api) -> None:
    one, two = api.by((await new_member()).token), api.by((await new_member()).token)
    assert (await one.post("/v1/me/check-ins", key="same-key-1")).status == 201
    theirs = await two.post("/v1/me/check-ins", key="same-key-1")
    assert theirs.status == 201
    assert "Idempotent-Replayed" not in theirs.headers


async def test_a_write_without_a_usable_key_is_refused(api: Api) -> None:
    member = await new_member()
    for given in ({}, {"Idempotency-Key": "short"}, {"Idempotency-Key": "with space in it"}):
        headers = {"Authorization": f"Bearer {member.token}", **given}
        async with api.client.post("/v1/me/check-ins", headers=headers) as response:
            assert response.status == 400
            assert (await response.json(content_type=None))["code"] == "invalid.idempotency_key"


async def test_a_storm_of_one_key_has_one_effect_and_one_answer(api: Api) -> None:
    member = await new_member()
    mine = api.by(member.token)
    async with asyncio.TaskGroup() as storm:
        tasks = [storm.create_task(mine.post("/v1/me/check-ins", key="the-storm")) for _ in range(STORM)]
    answers = [task.result() for task in tasks]
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert await db.fetch_value("SELECT count(*) FROM check_in WHERE member_id = $1", member.id) == 1
    assert await db.fetch_value("SELECT available FROM ledger_balance WHERE asset = 'points'") == 5


async def test_what_is_kept_is_sealed(api: Api) -> None:
    mine = api.by((await new_member()).token)
    await mine.call("PATCH", "/v1/me/profile", {"name": "Margarethe"}, key="profile-sealed")
    kept = await db.fetch_value("SELECT answer::text FROM inbox WHERE source = 'api'")
    assert "sealed" in kept
    assert "M**" not in kept
