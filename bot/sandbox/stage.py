"""Everything the platforms share: the world, its clock, its screens, and the way out to the product."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import aiohttp

from bot.sandbox.clock import WorldClock
from bot.sandbox.config import Account, SandboxConfig
from bot.sandbox.faults import Faults
from bot.sandbox.people import People
from bot.sandbox.quotas import Quotas
from bot.sandbox.screens import Events, Screens
from bot.sandbox.telegram_state import TelegramState, Webhook
from bot.sandbox.wechat_state import WechatState
from bot.sandbox.wecom_state import WecomState
from bot.sandbox.wire import Wire
from bot.sandbox.world import Template, World


class UnknownAccount(LookupError):
    """No such account is configured."""


class Stage:
    """The shared parts, wired together around one world."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self.config, self.world = config, world
        self.clock = WorldClock(world.clock_offset_s, config.clock_moved)
        self.events = Events()
        self.screens = Screens(world, self.clock, self.events)
        self.wire = Wire(self.clock, self.events)
        self.faults = Faults(world)
        self.quotas = Quotas(world, self.clock, config.limits)
        self.people = People(world, config.accounts())
        self.held: dict[str, list[asyncio.Event]] = {}
        self.locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._http: aiohttp.ClientSession | None = None
        self.furnish()

    def furnish(self) -> None:
        """Put in what the configuration says must exist: people, templates, webhooks."""
        for seed in self.config.people:
            if seed.id not in self.world.people:
                self.people.add(seed)
        for template in self.config.templates:
            known = Template(template.template_id, template.title, list(template.keys), template.app_id)
            self.world.templates[template.template_id] = known
        for bot in self.config.telegram:
            if bot.key not in self.world.telegram:
                webhook = Webhook(url=bot.callback_url, secret=bot.webhook_secret)
                self.world.telegram[bot.key] = TelegramState(webhook=webhook)

    def reset(self, *, people: bool) -> None:
        """Forget everything that happened; with `people`, who exists as well."""
        fresh = World(counters=self.world.counters)
        if not people:
            fresh.people = self.world.people
        self.world.become(fresh)
        self.clock.set_offset(0.0)
        self.people.reindex()
        self.wire.clear()
        self.furnish()

    def wechat(self, key: str) -> WechatState:
        """State of one official account or mini-program."""
        return self.world.wechat.setdefault(key, WechatState())

    def wecom(self, key: str) -> WecomState:
        """State of one WeCom app."""
        return self.world.wecom.setdefault(key, WecomState())

    def telegram(self, key: str) -> TelegramState:
        """State of one bot."""
        return self.world.telegram[key]

    def account(self, channel: str, name: str = "") -> Account:
        """A configured account; the first of the channel when no name is given. Raises UnknownAccount."""
        for account in self.config.accounts():
            if account.channel == channel and name in ("", account.account):
                return account
        raise UnknownAccount(f"no {channel} account {name!r} is configured")

    @property
    def http(self) -> aiohttp.ClientSession:
        """The way to the product's callbacks."""
        if self._http is None:
            # The product is one host: no cookie and no proxy may leak between callbacks.
            self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        return self._http

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let a callback happen by itself; `settle` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a sandbox callback failed", "exception": error, "task": task}
            )

    async def settle(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; False when that takes longer."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self._tasks:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await asyncio.wait(set(self._tasks), timeout=left)
            await asyncio.sleep(0)
        return True

    @property
    def in_flight(self) -> int:
        """Callbacks that are on their way by themselves."""
        return len(self._tasks)

    async def close(self) -> None:
        """Stop what is in flight and close connections."""
        self.events.close()
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._http is not None:
            await self._http.close()
