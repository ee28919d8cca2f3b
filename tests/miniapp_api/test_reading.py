"""What may not enter: JSON that parsers read differently, and addresses that lie."""

import re
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from loyalty.access import MATRIX, Role
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Repeat
from miniapp_api.endpoints import ENDPOINTS
from miniapp_api.reading import client_address, parse_json
from miniapp_api.refusals import NotJson
from tests.miniapp_api.people import Answered, Api, new_member, new_partner, new_staff, new_store

SHARE = 20
JSON_ENDPOINTS = [endpoint for endpoint in ENDPOINTS if endpoint.takes_body]


async def send(api: Api, method: str, path: str, body: bytes, content_type: str = "application/json") -> Answered:
    headers = {"Content-Type": content_type, "Idempotency-Key": "json-oddities"}
    if api.token:
        headers["Authorization"] = f"Bearer {api.token}"
    async with api.client.request(method, path, data=body, headers=headers) as response:
        content = await response.read()
        return Answered(response.status, content, await response.json(content_type=None), response.headers)


async def tokens() -> dict[str, str | None]:
    """A credential per audience."""
    store = await new_store()
    return {
        "member": (await new_member()).token,
        "staff": (await new_staff(Role.MANAGER, store_id=store)).token,
        "partner": await new_partner(store),
    }


async def _staff_token(endpoint: AnyEndpoint) -> str | None:
    """Somebody whose role may do what the row asks; nobody where anybody may."""
    if endpoint.audience is Audience.ANYONE:
        return None
    role = next(role for role, rights in MATRIX.items() if endpoint.action in rights)
    return (await new_staff(role, store_id=await new_store())).token


@pytest.mark.outside
async def test_every_json_endpoint_refuses_what_is_not_json(api: Api, outside: Path) -> None:
    """One door reads all of them (below); each endpoint is shown to stand behind it by a share of its own."""
    credentials = await tokens()
    samples = sorted((outside / "security" / "json_parsing").rglob("n_*.json"))
    assert len(samples) > 150
    for place, endpoint in enumerate(JSON_ENDPOINTS):
        caller = api.by(credentials.get(endpoint.audience.value) or await _staff_token(endpoint))
        for sample in samples[place % SHARE :: SHARE]:
            answered = await send(caller, endpoint.method, re.sub(r"\{\w+\}", "x", endpoint.path), sample.read_bytes())
            assert answered.status == 400, (endpoint.name, sample.name, answered.body)


@pytest.mark.outside
async def test_no_json_at_all_is_a_server_error(api: Api, outside: Path) -> None:
    mine = api.by((await new_member()).token)
    for sample in sorted((outside / "security" / "json_parsing").rglob("*.json")):
        answered = await send(mine, "PATCH", "/v1/me/profile", sample.read_bytes())
        assert answered.status in {200, 400, 409}, sample.name


@pytest.mark.outside
def test_what_is_json_is_read(outside: Path) -> None:
    for sample in sorted((outside / "security" / "json_parsing").rglob("y_object*.json")):
        if "duplicated" in sample.name or "escaped_null" in sample.name:
            continue
        parse_json(sample.read_bytes())


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b'{"\\u0000":1}',
        b'{"a":"\xff"}',
        b"[]",
        b"",
        b'{"a":' * 33 + b"1" + b"}" * 33,
    ],
)
def test_odd_json_is_refused(body: bytes) -> None:
    with pytest.raises(NotJson):
        parse_json(body)


def test_an_escaped_backslash_before_a_u_is_only_text() -> None:
    assert parse_json(b'{"a":"\\\\ud800 \\ud83d\\ude00"}') == {"a": "\\ud800 😀"}


async def test_a_long_body_is_refused_however_it_is_sent(api: Api) -> None:
    mine = api.by((await new_member()).token)
    big = b'{"name":"' + b"x" * 70_000 + b'"}'
    answered = await send(mine, "PATCH", "/v1/me/profile", big)
    assert (answered.status, answered.code) == (400, "invalid.too_large")


async def test_another_media_type_is_refused(api: Api) -> None:
    mine = api.by((await new_member()).token)
    answered = await send(mine, "PATCH", "/v1/me/profile", b'{"name":"x"}', "text/plain")
    assert answered.status == 415


async def test_unknown_fields_and_wrong_types_are_named_without_their_values(api: Api) -> None:
    mine = api.by((await new_member()).token)
    answered = await send(mine, "PATCH", "/v1/me/profile", b'{"name":12,"points":99999,"status":"active"}')
    assert answered.status == 400
    assert {error["field"] for error in answered.json["errors"]} == {"name", "points", "status"}
    assert b"99999" not in answered.body


async def test_odd_query_parameters_are_refused(api: Api) -> None:
    mine = api.by((await new_member()).token)
    for query in ("limit=0", "limit=101", "limit=x", "other=1", "limit=1&limit=2", "cursor=%00", "cursor=..%2F"):
        answered = await mine.get(f"/v1/me/points?{query}")
        assert answered.status == 400, query
    assert (await mine.get("/v1/me/points?cursor=0000000000000")).status in {200, 404}


async def test_unknown_paths_and_methods_are_problems(api: Api) -> None:
    absent = await api.get("/v1/nothing")
    assert (absent.status, absent.code) == (404, "not_found")
    wrong = await api.call("PUT", "/v1/me/check-ins")
    assert (wrong.status, wrong.code) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["Allow"]


def test_every_write_is_repeatable() -> None:
    for endpoint in ENDPOINTS:
        assert endpoint.method == "GET" or endpoint.repeat is not Repeat.SAFE


def test_only_a_trusted_proxy_may_say_who_its_client_is() -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": "9.9.9.9, 8.8.8.8, 10.0.0.2"})
    peer = request.remote or "unknown"
    assert client_address(request, frozenset[str]().__contains__) == peer
    assert client_address(request, {peer, "10.0.0.2"}.__contains__) == "8.8.8.8"
