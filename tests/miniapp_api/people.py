"""People who are logged in, and a caller of the API that holds every answer to the contract."""

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient
from pydantic import TypeAdapter

from loyalty import clock, db
from loyalty.access import Role, SystemPrincipal
from loyalty.identity import service as identity
from loyalty.identity.service import Contact
from loyalty.members import service as members
from loyalty.sessions import service as sessions
from loyalty.staff import service as staff
from miniapp_api.contract import refusals_of
from miniapp_api.endpoint import AnyEndpoint, Bytes, Redirect
from miniapp_api.endpoints import ENDPOINTS

SYSTEM = SystemPrincipal("tests")

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answered:
    """A response, read."""

    status: int
    body: bytes
    json: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        return str(self.json["code"])


@dataclass
class Api:
    """A caller of the API; every response is held to the contract."""

    client: TestClient[web.Request, web.Application]
    token: str | None = None
    seen: set[str] = field(default_factory=set)

    def by(self, token: str | None) -> "Api":
        """The same API, called by somebody else."""
        return Api(self.client, token, self.seen)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        **headers: str,
    ) -> Answered:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if method != "GET":
            sent["Idempotency-Key"] = key or secrets.token_hex(8)
        sending: dict[str, Any] = {"json": body} if body is not None else {}
        async with self.client.request(method, path, headers=sent, allow_redirects=False, **sending) as response:
            content = await response.read()
            is_json = "json" in response.content_type
            answered = Answered(
                response.status,
                content,
                await response.json(content_type=None) if is_json else None,
                response.headers,
            )
        hold_to_contract(method, path, answered)
        return answered

    async def get(self, path: str, **headers: str) -> Answered:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: object = None, *, key: str | None = None, **headers: str) -> Answered:
        return await self.call("POST", path, body, key=key, **headers)


def endpoint_of(method: str, path: str) -> AnyEndpoint | None:
    """The row that serves a path."""
    steps = path.split("?", maxsplit=1)[0].split("/")
    fitting = [
        endpoint
        for endpoint in ENDPOINTS
        if endpoint.method == method
        and len(theirs := endpoint.path.split("/")) == len(steps)
        and all(want == have or want.startswith("{") for want, have in zip(theirs, steps, strict=True))
    ]
    return min(fitting, key=lambda endpoint: endpoint.path.count("{"), default=None)


def hold_to_contract(method: str, path: str, answered: Answered) -> None:
    """Fail unless the row of this endpoint promises exactly such an answer."""
    endpoint = endpoint_of(method, path)
    if endpoint is None or answered.status == web.HTTPMethodNotAllowed.status_code:
        return
    if answered.status >= 400:
        promised = {(refusal.status, refusal.code) for refusal in refusals_of(endpoint)}
        assert (answered.status, answered.code) in promised, (
            endpoint.name,
            answered.json,
        )
        assert answered.headers["Content-Type"].startswith("application/problem+json")
        return
    if endpoint.result is None:
        assert (answered.status, answered.body) == (204, b"")
    elif endpoint.result is Redirect:
        assert answered.status == 303
    elif endpoint.result is not Bytes:
        assert answered.status == endpoint.status
        TypeAdapter(endpoint.result).validate_json(answered.body, strict=True)


@dataclass(frozen=True)
class LoggedIn:
    """Somebody with a session."""

    id: int
    token: str
    identity_id: int | None = None


async def new_member(*, registered: bool = True, channel: str = "wechat_mini") -> LoggedIn:
    """A person who came through a channel, with a session."""
    now = clock.now()
    contact = Contact(
        channel=channel,
        account="main",
        app_id="app",
        external_id=f"person-{next(_numbers)}",
    )
    async with db.unit_of_work():
        person = await identity.resolve(contact, now=now)
        if registered:
            await members.register(person.member_id, phone=None, channel=channel, now=now)
        opened = await sessions.open_for_member(person.member_id, identity_id=person.identity_id, now=now)
    return LoggedIn(person.member_id, opened.token, person.identity_id)


async def new_store(code: str = "") -> int:
    """An open store."""
    async with db.unit_of_work():
        view = await staff.add_store(
            code=code or f"S{next(_numbers)}",
            name="静安店",
            city="上海",
            principal=SYSTEM,
            now=clock.now(),
        )
    return view.id


async def new_staff(
    role: Role = Role.CLERK,
    *,
    store_id: int | None = None,
    member_id: int | None = None,
) -> LoggedIn:
    """A member of staff with a session."""
    now = clock.now()
    async with db.unit_of_work():
        view = await staff.add_staff(
            corp_id="corp",
            user_id=f"staff-{next(_numbers)}",
            name="小王",
            role=role,
            store_id=store_id,
            member_id=member_id,
            principal=SYSTEM,
            now=now,
        )
        opened = await sessions.open_for_staff(view.id, now=now)
    return LoggedIn(view.id, opened.token)


async def new_partner(store_id: int | None = None) -> str:
    """A partner system's key."""
    async with db.unit_of_work():
        made = await staff.add_partner(name="收银", store_id=store_id, principal=SYSTEM, now=clock.now())
    return made.key
