"""From a row to an aiohttp handler: limit, caller, right, input, unit of work, answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from loyalty import clock, db
from loyalty.access import authorize
from loyalty.errors import Forbidden, Refusal, TooMany, Unauthenticated
from loyalty.inbox.service import KeyReused
from miniapp_api import idempotency, metrics, reading
from miniapp_api.audience import Audience
from miniapp_api.context import ApiContext
from miniapp_api.edge import CHOSEN_LOCALE, OPERATION, locale_of
from miniapp_api.endpoint import (
    AnyCall,
    AnyEndpoint,
    Bytes,
    Call,
    NoQuery,
    Redirect,
    Repeat,
)
from miniapp_api.idempotency import Answer, Claimed
from miniapp_api.limits import Limits
from miniapp_api.principals import Caller, caller_name, caller_of
from miniapp_api.problems import encode
from miniapp_api.staff_audit import note_refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NO_QUERY = NoQuery()
_NEVER_KEPT = (Unauthenticated, Forbidden, TooMany, KeyReused)
_SERVER_ERRORS_FROM = 500


@dataclass(frozen=True, slots=True)
class Serving:
    """What every handler of one process shares."""

    context: ApiContext
    limits: Limits


def handler(endpoint: AnyEndpoint, serving: Serving) -> Handler:
    """The aiohttp handler of one row."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[OPERATION] = endpoint.name
        call, content = await _opened(endpoint, serving, request)
        if endpoint.repeat is not Repeat.KEYED:
            return await _answered_once(endpoint, call)
        claim = idempotency.claimed(
            caller_name(call.principal, call.address),
            reading.idempotency_key(request),
            operation=endpoint.name,
            path=request.path,
            body=content,
        )
        answer = await _keyed(endpoint, call, claim)
        if answer.replayed:
            metrics.REPLAYED.labels(endpoint.name).inc()
        return _response(answer)

    return handle


async def _opened(endpoint: AnyEndpoint, serving: Serving, request: web.Request) -> tuple[AnyCall, bytes]:
    now = clock.now()
    address = reading.client_address(request, serving.context.is_trusted_proxy)
    caller = await _admitted(endpoint, serving, request, address)
    content, body = b"", endpoint.body.model_construct()
    if endpoint.takes_body:
        body, content = await reading.read_body(request, endpoint.body)
    query: Any = _NO_QUERY
    if request.query_string or endpoint.query is not NoQuery:
        query = reading.read_query(request, endpoint.query)
    call = Call(
        context=serving.context,
        caller=caller,
        body=body,
        query=query,
        path=dict(request.match_info),
        now=now,
        locale=locale_of(request),
        address=address,
        request=request,
    )
    return call, content


async def _admitted(endpoint: AnyEndpoint, serving: Serving, request: web.Request, address: str) -> Caller | None:
    if endpoint.audience is Audience.ANYONE:
        await serving.limits.take(endpoint.rate, f"{endpoint.name}:{address}")
        return None
    try:
        caller = await caller_of(request, endpoint.audience)
    except Unauthenticated:
        # Wrong tokens are counted by address, or trying many would cost nothing.
        await serving.limits.take(endpoint.rate, f"{endpoint.name}:{address}")
        raise
    await serving.limits.take(endpoint.rate, f"{endpoint.name}:{caller_name(caller.principal, address)}")
    if caller.locale is not None:
        request[CHOSEN_LOCALE] = caller.locale
    if endpoint.action is not None:
        authorize(caller.principal, endpoint.action)
    return caller


async def _answered_once(endpoint: AnyEndpoint, call: AnyCall) -> web.StreamResponse:
    if endpoint.before is not None:
        call.brought = await endpoint.before(call)
    if endpoint.repeat in {Repeat.SAFE, Repeat.QUESTION}:
        result = await endpoint.run(call)
    else:
        result = await db.retried(lambda: _in_unit_of_work(endpoint, call))
    if endpoint.after is not None:
        await endpoint.after(call, result)
    if isinstance(result, Redirect):
        return _redirect(result, secure=call.context.settings.public_url.startswith("https:"))
    return _response(_answer(endpoint, call, result))


async def _in_unit_of_work(endpoint: AnyEndpoint, call: AnyCall) -> object:
    async with db.unit_of_work():
        return await endpoint.run(call)


async def _keyed(endpoint: AnyEndpoint, call: AnyCall, claim: Claimed) -> Answer:
    call.claim = claim
    try:
        if endpoint.before is not None:
            call.brought = await endpoint.before(call)
        if endpoint.joins:
            joined = await endpoint.run(call)
            return joined if isinstance(joined, Answer) else _answer(endpoint, call, joined)
        return await db.retried(lambda: _first_or_repeat(endpoint, call, claim))
    except Refusal as refused:
        refusal = refused
    await note_refusal(call.principal, endpoint, refusal, now=call.now)
    if refusal.status >= _SERVER_ERRORS_FROM or isinstance(refusal, _NEVER_KEPT):
        raise refusal
    return await db.retried(lambda: _kept_refusal(call, claim, refusal))


async def _first_or_repeat(endpoint: AnyEndpoint, call: AnyCall, claim: Claimed) -> Answer:
    async with db.unit_of_work():
        earlier = await idempotency.first_answer(claim, now=call.now)
        if earlier is not None:
            return earlier
        answer = _answer(endpoint, call, await endpoint.run(call))
        await idempotency.keep(claim, answer)
        return answer


async def _kept_refusal(call: AnyCall, claim: Claimed, refusal: Refusal) -> Answer:
    async with db.unit_of_work():
        earlier = await idempotency.first_answer(claim, now=call.now)
        if earlier is not None:
            return earlier
        answer = call.refused(refusal)
        await idempotency.keep(claim, answer)
        return answer


def _answer(endpoint: AnyEndpoint, call: AnyCall, result: object) -> Answer:
    if isinstance(result, Refusal):
        # A verb returns a refusal instead of raising it when the attempt itself has to be committed.
        return call.refused(result)
    if result is None:
        return Answer(status=204, body=b"")
    if isinstance(result, Bytes):
        return Answer(
            status=endpoint.status,
            body=result.content,
            content_type=result.content_type,
        )
    return Answer(status=endpoint.status, body=encode(result))


def _response(answer: Answer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body or None)
    if answer.body:
        response.content_type = answer.content_type
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _redirect(result: Redirect, *, secure: bool) -> web.Response:
    response = web.Response(status=303, headers={"Location": result.location})
    if result.cookie is not None:
        name, value, lifetime_s = result.cookie
        response.set_cookie(
            name,
            value,
            max_age=lifetime_s,
            httponly=True,
            secure=secure,
            samesite="Lax",
            path="/v1/oauth",
        )
    return response
