"""Callbacks to the product: a deadline, three tries with the same message id, and what came back."""

import asyncio
import json
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bot.sandbox.config import Account
from bot.sandbox.envelopes import MalformedReply, Opened, Sealed
from bot.sandbox.stage import Stage
from bot.sandbox.wire import Entry, Half, printable

ANSWER_LIMIT = 1 << 20


@dataclass
class Delivery:
    """How a callback went; see README."""

    result: str
    tries: int = 0
    statuses: list[int | str] = field(default_factory=list)
    message_id: str = ""
    ms: float = 0.0
    reply: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The delivery as the control API shows it."""
        return dict(vars(self))


@dataclass(frozen=True)
class Callback:
    """One message to the product. `seal` is called per try: a retry carries a new nonce around the same message."""

    account: Account
    person: str
    message_id: str
    seal: Callable[[], Sealed]
    open: Callable[[bytes], Opened]
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""
    tries: int | None = None
    first_try: int = 1
    taken: Container[int] = range(200, 300)


@dataclass(frozen=True)
class Answer:
    """The outcome of one try."""

    status: int | str
    opened: Opened | None = None


def platform_of(account: Account) -> str:
    """The platform name that faults use."""
    return "wechat" if account.channel in ("wechat_oa", "wechat_mini") else account.channel


async def deliver(stage: Stage, callback: Callback) -> Delivery:
    """Post until the product answers well, at most the configured number of tries."""
    if not callback.url:
        return Delivery("none", message_id=callback.message_id)
    platform, key = platform_of(callback.account), callback.account.key
    if slow := stage.faults.take(platform, "callback", "slow"):
        await asyncio.sleep(slow.value / 1000)
    if stage.faults.take(platform, "callback", "reorder"):
        await _hold(stage, key)
    copies = stage.faults.take(platform, "callback", "duplicate")
    try:
        if copies is None:
            return await _attempts(stage, callback)
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(_attempts(stage, callback)) for _ in range(max(1, copies.value) + 1)]
        return runs[0].result()
    finally:
        for waiting in stage.held.pop(key, []):
            waiting.set()


async def _hold(stage: Stage, key: str) -> None:
    waiting = asyncio.Event()
    stage.held.setdefault(key, []).append(waiting)
    try:
        async with asyncio.timeout(stage.config.reorder_hold_s):
            await waiting.wait()
    except TimeoutError:
        if waiting in stage.held.get(key, []):
            stage.held[key].remove(waiting)


async def _attempts(stage: Stage, callback: Callback) -> Delivery:
    began = time.monotonic()
    delivery = Delivery("failed", message_id=callback.message_id)
    first = callback.first_try
    for attempt in range(first, first + (callback.tries or stage.config.tries)):
        if attempt > first:
            await asyncio.sleep(stage.config.retry_pause_s)
        answer = await _attempt(stage, callback, attempt)
        delivery.tries = attempt
        delivery.statuses.append(answer.status)
        if answer.opened is not None:
            delivery.reply = answer.opened.fields
            delivery.result = "accepted" if answer.opened.fields is None else "replied"
            break
    delivery.ms = round((time.monotonic() - began) * 1000, 1)
    return delivery


async def _attempt(stage: Stage, callback: Callback, attempt: int) -> Answer:
    sealed = callback.seal()
    url = callback.url + (("&" if "?" in callback.url else "?") + sealed.query if sealed.query else "")
    headers = {"Content-Type": sealed.content_type, **callback.headers, **sealed.headers}
    entry = Entry(
        kind="callback",
        platform=callback.account.channel,
        account=callback.account.account,
        api="callback",
        method="POST",
        url=url,
        person=callback.person,
        message_id=callback.message_id,
        attempt=attempt,
        request=Half(
            {name: _cut(name, value) for name, value in headers.items()}, printable(sealed.body), sealed.clear
        ),
    )
    began = time.monotonic()
    answer = await _exchange(stage, callback, url, sealed.body, headers, entry)
    entry.ms = round((time.monotonic() - began) * 1000, 1)
    stage.wire.record(entry)
    return answer


def _cut(name: str, value: str) -> str:
    return value[:4] + "…" if "Secret" in name else value


async def _exchange(
    stage: Stage, callback: Callback, url: str, body: bytes, headers: dict[str, str], entry: Entry
) -> Answer:
    platform = platform_of(callback.account)
    cut = stage.faults.take(platform, "callback", "reset") is not None
    try:
        async with asyncio.timeout(stage.config.deadline_s):
            async with stage.http.post(url, data=body, headers=headers, allow_redirects=False) as response:
                if cut:
                    response.close()
                    raise aiohttp.ClientConnectionError("cut by a fault")
                content = await response.content.read(ANSWER_LIMIT)
    except TimeoutError:
        entry.verdict = "timeout"
        return Answer("timeout")
    except aiohttp.ClientError as error:
        entry.verdict, entry.response.clear = "reset", type(error).__name__
        return Answer("reset")
    entry.status = response.status
    entry.response = Half({"Content-Type": response.headers.get("Content-Type", "")}, printable(content))
    return _judge(stage, callback, response.status, content, entry)


def _judge(stage: Stage, callback: Callback, status: int, content: bytes, entry: Entry) -> Answer:
    if status not in callback.taken:
        entry.verdict = "refused"
        return Answer(status)
    try:
        opened = callback.open(content)
    except MalformedReply as error:
        entry.verdict, entry.response.clear = "malformed", str(error)
        return Answer("malformed")
    entry.response.clear = opened.clear
    if stage.faults.take(platform_of(callback.account), "callback", "drop_answer"):
        entry.verdict = "fault drop_answer"
        return Answer("timeout")
    entry.verdict = "accepted" if opened.fields is None else "replied"
    return Answer(status, opened)


async def verify_url(stage: Stage, account: Account, query: str, expected: str) -> dict[str, Any]:
    """The console's “save URL” button: a GET that must give back the echo string exactly."""
    url: str = getattr(account, "callback_url", "")
    target = url + ("&" if "?" in url else "?") + query
    entry = Entry("callback", account.channel, account.account, "verify", "GET", target)
    began = time.monotonic()
    content = b""
    try:
        async with asyncio.timeout(stage.config.verification_deadline_s):
            async with stage.http.get(target, allow_redirects=False) as response:
                content = await response.content.read(ANSWER_LIMIT)
                entry.status = response.status
        passed = entry.status == 200 and content == expected.encode()
        entry.verdict = "accepted" if passed else "refused"
    except (TimeoutError, aiohttp.ClientError) as error:
        passed, entry.verdict = (False, "timeout" if isinstance(error, TimeoutError) else "reset")
    entry.ms = round((time.monotonic() - began) * 1000, 1)
    entry.response.raw = printable(content)
    stage.wire.record(entry)
    return {"passed": passed, "status": entry.status, "answer": entry.response.raw}


def json_object(content: bytes) -> Opened:
    """A webhook answer that may carry a JSON object; anything else only acknowledges."""
    text = content.decode(errors="replace")
    try:
        value = json.loads(text)
    except ValueError:
        return Opened(text, None)
    return Opened(text, value if isinstance(value, dict) and value.get("method") else None)
