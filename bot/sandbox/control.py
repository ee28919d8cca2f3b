"""The control API: be a person, see what they see, look at the wire, move the clock, break things. See README."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bot.sandbox.act import Act, BadAct, Done, Verb
from bot.sandbox.config import PersonSeed, WechatAccount, WecomAccount
from bot.sandbox.deliver import verify_url
from bot.sandbox.envelopes import verification_query
from bot.sandbox.pay_acts import VERBS as PAY_VERBS
from bot.sandbox.pay_acts import tell_due
from bot.sandbox.screens import line_json
from bot.sandbox.stage import Stage, UnknownAccount
from bot.sandbox.telegram_acts import VERBS as TELEGRAM_VERBS
from bot.sandbox.views import person_view, screen_view, state_view
from bot.sandbox.wechat_acts import MINI_VERBS, OA_VERBS
from bot.sandbox.wecom_acts import VERBS as WECOM_VERBS
from bot.sandbox.world import Person, Template, opaque

VERBS: dict[str, dict[str, Verb]] = {
    "wechat_oa": OA_VERBS,
    "wechat_mini": MINI_VERBS,
    "wecom": WECOM_VERBS,
    "telegram": TELEGRAM_VERBS,
    "wechat_pay": PAY_VERBS,
}
LONGEST_WAIT_S = 30.0
STREAM_PING_S = 15.0
FLAGS = frozenset({"refuses_messages", "snapshot", "risky"})
AVATAR_COLOURS = ("#2a9d8f", "#e76f51", "#457b9d", "#8d6cab", "#c1666b", "#588157")


class ControlError(Exception):
    """A refusal with a status and a stable code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def answer(value: Any, status: int = 200) -> web.Response:
    """JSON, never cached."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return web.Response(
        status=status, body=body, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object of the request, empty when there is no body. Raises ControlError."""
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw)
    except ValueError:
        raise ControlError(400, "not_json", "the body is not JSON") from None
    if not isinstance(value, dict):
        raise ControlError(400, "not_json", "the body must be a JSON object")
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool):
        raise ControlError(400, "bad_value", f"{name} must be a number")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ControlError(400, "bad_value", f"{name} must be a number") from None


class Control:
    """The handlers of the control API."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def person(self, request: web.Request) -> Person:
        """The person in the address. Raises ControlError 404."""
        person = self.stage.people.get(request.match_info["person"])
        if person is None:
            raise ControlError(404, "unknown_person", "nobody has this id")
        return person

    async def list_people(self, request: web.Request) -> web.StreamResponse:
        """Everybody."""
        return answer({"people": [person_view(self.stage, person) for person in self.stage.people.all()]})

    async def show_person(self, request: web.Request) -> web.StreamResponse:
        """One person."""
        return answer(person_view(self.stage, self.person(request)))

    async def add_person(self, request: web.Request) -> web.StreamResponse:
        """Create a person, or replace the one with that id."""
        body = await body_of(request)
        allowed = {"id", "name", "kind", "phone", "language", "wecom_userid"}
        texts = {key: str(value) for key, value in body.items() if key in allowed}
        if texts.get("kind", "member") not in ("member", "staff") or not texts.get("name"):
            raise ControlError(400, "bad_value", "name is needed; kind is member or staff")
        seed = {"id": "p" + opaque(8).replace("-", "x"), **texts}
        try:
            person = self.stage.people.add(PersonSeed(**seed))  # type: ignore[arg-type]  # the keys were checked above
        except ValueError as error:
            raise ControlError(400, "bad_value", str(error)) from None
        self._set_flags(person, body)
        self.stage.events.publish("world", {"what": "people", "person": person.id})
        return answer(person_view(self.stage, person), 201)

    async def change_person(self, request: web.Request) -> web.StreamResponse:
        """Change flags, name, phone or language."""
        person, body = self.person(request), await body_of(request)
        self._set_flags(person, body)
        merged = {
            key: str(body.get(key, getattr(person, key))) for key in ("name", "phone", "language", "wecom_userid")
        }
        seed = PersonSeed(id=person.id, kind="staff" if person.kind == "staff" else "member", **merged)
        person = self.stage.people.add(seed)
        self.stage.events.publish("world", {"what": "people", "person": person.id})
        return answer(person_view(self.stage, person))

    @staticmethod
    def _set_flags(person: Person, body: dict[str, Any]) -> None:
        flags = body.get("flags") or {}
        if not isinstance(flags, dict) or set(flags) - FLAGS:
            raise ControlError(400, "bad_value", f"flags are {', '.join(sorted(FLAGS))}")
        for name, value in flags.items():
            setattr(person.flags, name, bool(value))

    async def act(self, request: web.Request) -> web.StreamResponse:
        """A person does something; the answer waits for the callback unless `wait=0`."""
        channel, name = request.match_info["channel"], request.match_info["verb"]
        verb = VERBS.get(channel, {}).get(name)
        if verb is None:
            raise ControlError(404, "unknown_act", f"there is no {channel}/{name}")
        act = Act(self.stage, self.person(request), channel, await body_of(request))
        before = self.stage.screens.rev
        if request.query.get("wait") == "0":
            self.stage.account(channel, act.account_name)
            self.stage.spawn(self._unwaited(verb, act))
            return answer({"act": f"{channel}/{name}", "delivery": None, "lines": [], "data": {}}, 202)
        done = await verb(act)
        lines = [line_json(line) for line in self.stage.screens.since(act.person.id, before)]
        return answer({"act": f"{channel}/{name}", **self._done(done), "lines": lines})

    @staticmethod
    def _done(done: Done) -> dict[str, Any]:
        return {"delivery": done.delivery.as_json(), "data": done.data}

    @staticmethod
    async def _unwaited(verb: Verb, act: Act) -> None:
        with contextlib.suppress(BadAct):
            await verb(act)

    async def screen(self, request: web.Request) -> web.StreamResponse:
        """What a person sees; with `wait` it answers when something changed after `since`."""
        person = self.person(request)
        since = int(_number(request.query.get("since", 0), "since"))
        wait = min(_number(request.query.get("wait", 0), "wait"), LONGEST_WAIT_S)
        with self.stage.events.listening() as queue, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while wait > 0 and not self.stage.screens.since(person.id, since):
                    if await queue.get() is None:
                        break
        return answer(screen_view(self.stage, person, since))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The live stream."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        # Whoever closes the page ends the stream; that is how every visit ends.
        with self.stage.events.listening() as queue, contextlib.suppress(ConnectionResetError):
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            while (message := await self._next_message(queue)) is not None:
                await response.write(message)
        return response

    async def _next_message(self, queue: asyncio.Queue[tuple[str, dict[str, Any]] | None]) -> bytes | None:
        try:
            async with asyncio.timeout(STREAM_PING_S):
                event = await queue.get()
        except TimeoutError:
            return b": still here\n\n"
        if event is None:
            return None
        kind, data = event
        return f"id: {self.stage.screens.rev}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()

    async def wire(self, request: web.Request) -> web.StreamResponse:
        """Exchanges after `since`."""
        since = int(_number(request.query.get("since", 0), "since"))
        limit = int(_number(request.query.get("limit", 200), "limit"))
        return answer({"next": self.stage.wire.last, "entries": self.stage.wire.since(since, limit)})

    async def state(self, request: web.Request) -> web.StreamResponse:
        """The world at a glance."""
        return answer(state_view(self.stage))

    async def clock(self, request: web.Request) -> web.StreamResponse:
        """Move the platforms' clock forward."""
        try:
            self.stage.clock.advance(_number((await body_of(request)).get("advance_s"), "advance_s"))
        except ValueError as error:
            raise ControlError(400, "bad_value", str(error)) from None
        self.stage.world.clock_offset_s = self.stage.clock.offset_s
        tell_due(self.stage)
        self.stage.events.publish("world", {"what": "clock"})
        return answer({"now": self.stage.clock.world(), "offset_s": self.stage.clock.offset_s})

    async def settle(self, request: web.Request) -> web.StreamResponse:
        """Wait for callbacks in flight."""
        timeout = _number((await body_of(request)).get("timeout_s", 10), "timeout_s")
        return answer({"settled": await self.stage.settle(min(timeout, 60.0))})

    async def add_template(self, request: web.Request) -> web.StreamResponse:
        """Make a message template known."""
        body = await body_of(request)
        if not body.get("template_id"):
            raise ControlError(400, "bad_value", "template_id is needed")
        keys = [str(key) for key in body.get("keys") or []]
        template = Template(str(body["template_id"]), str(body.get("title", "")), keys, str(body.get("app_id", "")))
        self.stage.world.templates[template.template_id] = template
        return answer(vars(template), 201)

    async def verify(self, request: web.Request) -> web.StreamResponse:
        """The console's “save URL” button."""
        body = await body_of(request)
        account = self.stage.account(str(body.get("channel", "")), str(body.get("account", "")))
        if not isinstance(account, WechatAccount | WecomAccount) or not account.callback_url:
            raise ControlError(409, "no_callback", "this account has no callback URL to verify")
        echo = str(body.get("echo") or opaque(19))
        query = verification_query(account, echo, self.stage.clock.wire())
        return answer(await verify_url(self.stage, account, query, echo))

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Forget everything that happened."""
        body = await body_of(request)
        await self.stage.settle(self.stage.config.deadline_s)
        self.stage.reset(people=bool(body.get("people")))
        self.stage.events.publish("world", {"what": "reset"})
        return answer({"reset": True})

    async def list_faults(self, request: web.Request) -> web.StreamResponse:
        """Faults that are on."""
        return answer({"faults": [vars(fault) for fault in self.stage.world.faults.values()]})

    async def add_fault(self, request: web.Request) -> web.StreamResponse:
        """Switch a fault on."""
        body = await body_of(request)
        times = body.get("times")
        try:
            fault = self.stage.faults.add(
                str(body.get("platform", "*")),
                str(body.get("api", "*")),
                str(body.get("kind", "")),
                int(_number(body.get("value", 0), "value")),
                None if times is None else int(_number(times, "times")),
            )
        except ValueError as error:
            raise ControlError(400, "bad_value", str(error)) from None
        self.stage.events.publish("world", {"what": "faults"})
        return answer(vars(fault), 201)

    async def remove_faults(self, request: web.Request) -> web.StreamResponse:
        """Switch one fault off, or all."""
        wanted = request.match_info.get("fault")
        if wanted is None:
            self.stage.faults.clear()
        elif not self.stage.faults.remove(wanted):
            raise ControlError(404, "unknown_fault", "no such fault is on")
        self.stage.events.publish("world", {"what": "faults"})
        return await self.list_faults(request)

    async def media(self, request: web.Request) -> web.StreamResponse:
        """Bytes of a media item."""
        media = self.stage.world.media.get(request.match_info["media_id"])
        if media is None:
            raise ControlError(404, "unknown_media", "no such media")
        kind = media.content_type if media.content_type.startswith(("image/", "audio/", "video/")) else ""
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        content = base64.b64decode(media.content)
        return web.Response(body=content, content_type=kind or "application/octet-stream", headers=headers)

    async def avatar(self, request: web.Request) -> web.StreamResponse:
        """A plain picture of a person."""
        person = self.person(request)
        colour = AVATAR_COLOURS[sum(person.id.encode()) % len(AVATAR_COLOURS)]
        letter = person.name[:1].replace("&", "").replace("<", "") or "?"
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
            f'<rect width="64" height="64" fill="{colour}"/>'
            f'<text x="32" y="43" font-size="32" text-anchor="middle" fill="#fff">{letter}</text></svg>'
        )
        return web.Response(text=svg, content_type="image/svg+xml")


def add_control(app: web.Application, stage: Stage) -> None:
    """Mount the control API."""
    control = Control(stage)
    routes: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
        ("GET", "/people", control.list_people),
        ("POST", "/people", control.add_person),
        ("GET", "/people/{person}", control.show_person),
        ("PATCH", "/people/{person}", control.change_person),
        ("GET", "/people/{person}/screen", control.screen),
        ("POST", "/people/{person}/act/{channel}/{verb}", control.act),
        ("GET", "/events", control.events),
        ("GET", "/wire", control.wire),
        ("GET", "/state", control.state),
        ("POST", "/clock", control.clock),
        ("POST", "/settle", control.settle),
        ("POST", "/templates", control.add_template),
        ("POST", "/verify", control.verify),
        ("POST", "/reset", control.reset),
        ("GET", "/faults", control.list_faults),
        ("POST", "/faults", control.add_fault),
        ("DELETE", "/faults", control.remove_faults),
        ("DELETE", "/faults/{fault}", control.remove_faults),
        ("GET", "/media/{media_id}", control.media),
        ("GET", "/avatar/{person}", control.avatar),
    ]
    for method, path, handler in routes:
        app.router.add_route(method, "/control" + path, _plain_errors(handler))


def _plain_errors(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ControlError as error:
            return answer({"error": error.code, "message": error.message}, error.status)
        except BadAct as error:
            return answer({"error": "bad_act", "message": str(error)}, 409)
        except UnknownAccount as error:
            return answer({"error": "unknown_account", "message": str(error)}, 404)

    return guarded
