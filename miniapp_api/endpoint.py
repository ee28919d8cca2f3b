"""One endpoint is one row: path, audience, input, output, refusals. Router, contract and tests read the rows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from loyalty.access import (
    Action,
    MemberPrincipal,
    PartnerPrincipal,
    Principal,
    StaffPrincipal,
)
from loyalty.errors import Bug, Refusal
from miniapp_api.audience import Audience
from miniapp_api.context import ApiContext
from miniapp_api.edge import document_of
from miniapp_api.idempotency import Answer, Claimed
from miniapp_api.principals import Caller
from miniapp_api.problems import CONTENT_TYPE, encode
from templates.words import Locale

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Repeat(StrEnum):
    """What the same request does when it comes twice."""

    SAFE = "safe"  # reads: nothing
    QUESTION = "question"  # reads as well, what it asks about is too long for an address
    KEYED = "keyed"  # the same Idempotency-Key gets the first answer again
    ONE_USE = "one_use"  # what it carries works only once (login and SMS codes), or a second time changes nothing


class Rate(StrEnum):
    """Which soft limit applies; the figures are in `miniapp_api/limits.py`."""

    READ = "read"
    WRITE = "write"
    LOGIN = "login"
    GUESSABLE = "guessable"


class Body(BaseModel):
    """What a request carries as JSON: nothing unknown, no coercion between types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """What a request carries in its address; text is read as the declared type."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoBody(Body):
    """The endpoint takes no body."""


class NoQuery(Query):
    """The endpoint takes no query parameters."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an endpoint is for, in both languages of the documentation."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Bytes:
    """A result that is not JSON."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """The browser goes elsewhere; `cookie` is (name, value, lifetime in seconds)."""

    location: str
    cookie: tuple[str, str, int] | None = None


BodyT = TypeVar("BodyT", bound=Body)
QueryT = TypeVar("QueryT", bound=Query)


@dataclass(slots=True)
class Call(Generic[BodyT, QueryT]):
    """One request as an endpoint sees it; `brought` is what `before` fetched from the network, `claim` its
    idempotency key where the row asks for one."""

    context: ApiContext
    caller: Caller | None
    body: BodyT
    query: QueryT
    path: dict[str, str]
    now: datetime
    locale: Locale
    address: str
    request: web.Request
    brought: Any = None
    claim: Claimed | None = None

    @property
    def principal(self) -> Principal | None:
        """Who calls; None where anybody may."""
        return None if self.caller is None else self.caller.principal

    @property
    def member_id(self) -> int:
        """The member who calls."""
        if not isinstance(self.principal, MemberPrincipal):
            raise Bug("the row says MEMBER, so a member calls")
        return self.principal.member_id

    @property
    def staff(self) -> StaffPrincipal:
        """The member of staff who calls."""
        if not isinstance(self.principal, StaffPrincipal):
            raise Bug("the row says STAFF, so staff calls")
        return self.principal

    @property
    def partner(self) -> PartnerPrincipal:
        """The partner system that calls."""
        if not isinstance(self.principal, PartnerPrincipal):
            raise Bug("the row says PARTNER, so a partner calls")
        return self.principal

    @property
    def operation_key(self) -> str:
        """A name for what this request does, the same for a repeat of it and for nothing else."""
        if self.claim is None:
            raise Bug("the row says KEYED, so there is a key")
        return self.claim.operation_key

    def refused(self, refusal: Refusal) -> Answer:
        """`refusal` as the answer to this request."""
        document = document_of(self.request, refusal, self.context.settings.public_url)
        return Answer(status=refusal.status, body=encode(document), content_type=CONTENT_TYPE)


Run = Callable[[Call[BodyT, QueryT]], Awaitable[object]]
After = Callable[[Call[BodyT, QueryT], Any], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[BodyT, QueryT]):
    """One row.

    `run` does the work inside one unit of work (reads run without one). `before` and `after` surround it
    for the network, which a unit of work must not wait for. `joins` marks a verb that brings its own
    coalesced unit of work and stores the answer for a repeat itself.
    """

    method: Method
    path: str
    run: Run[BodyT, QueryT]
    audience: Audience
    result: Any
    summary: Summary
    action: Action | None = None
    body: type[BodyT] = NoBody  # type: ignore[assignment]  # a TypeVar cannot have this default before 3.13
    query: type[QueryT] = NoQuery  # type: ignore[assignment]  # the same
    refusals: tuple[type[Refusal], ...] = ()
    status: int = 200
    rate: Rate = Rate.READ
    repeat: Repeat = Repeat.SAFE
    before: Run[BodyT, QueryT] | None = None
    after: After[BodyT, QueryT] | None = None
    joins: bool = False

    @property
    def name(self) -> str:
        """The operation id of the contract and the label of metrics: the name of the function that runs."""
        return self.run.__name__

    @property
    def takes_body(self) -> bool:
        """True when the request carries JSON."""
        return self.body is not NoBody


AnyEndpoint = Endpoint[Any, Any]
AnyCall = Call[Any, Any]

NOTHING: Final = None
"""The result of an endpoint that answers 204."""
