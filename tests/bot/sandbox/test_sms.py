"""The SMS provider."""

from typing import Any

KEY = {"Authorization": "Bearer smskey"}
MESSAGE = {"phone": "+8613800000001", "template": "code", "params": {"code": "123456"}}


async def send(town: Any, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with town.http.post("/platform/sms/send", json=body or MESSAGE, headers=headers or KEY) as response:
        return response.status, await response.json()


async def test_the_phone_shows_it(town: Any) -> None:
    status, answer = await send(town)
    assert (status, answer) == (200, {"message_id": "sms1"})
    (line,) = await town.lines("lin", "sms")
    assert line["text"] == "验证码 123456"
    assert line["data"]["params"] == {"code": "123456"}


async def test_refusals(town: Any) -> None:
    assert (await send(town, headers={"Authorization": "Bearer x"}))[0] == 401
    assert (await send(town, MESSAGE | {"template": "ad"}))[1]["code"] == "unknown_template"
    assert (await send(town, MESSAGE | {"params": {}}))[0] == 400
    assert (await send(town, MESSAGE | {"phone": "12"}))[1]["code"] == "bad_phone"


async def test_too_many_to_one_phone(town: Any) -> None:
    statuses = [(await send(town))[0] for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    await town.control("POST", "/clock", advance_s=61)
    assert (await send(town))[0] == 200


async def test_a_repeated_key_sends_once(town: Any) -> None:
    headers = KEY | {"Idempotency-Key": "k1"}
    assert await send(town, headers=headers) == await send(town, headers=headers)
    assert len(await town.lines("lin", "sms")) == 1


async def test_an_unknown_phone_is_accepted_and_nobody_reads_it(town: Any) -> None:
    assert (await send(town, MESSAGE | {"phone": "+8613999999999"}))[0] == 200
    assert await town.lines("lin") == []
