"""A town for stories: the whole product in this process, the sandbox's platforms around it, people with phones.

People act through the sandbox's control API, the product hears real signed callbacks over HTTP, and what people see
is read from their screens. Time passes by the sandbox's clock.
"""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import ClientSession, web
from redis.asyncio import Redis

from bot.http import PlatformHttp
from bot.outbound import Outbound
from bot.registry import build_channels
from bot.sms.provider import HttpSms
from loyalty import clock, config, db
from loyalty.access import Role, SystemPrincipal
from loyalty.staff import service as staff
from miniapp_api.context import Lifecycle
from scheduler.duties import DUTIES
from scheduler.duty import Hands
from scheduler.worker import Worker
from tests.loyalty import shop
from tests.support.storm import Caller, Heard
from xiaohui import sandboxed
from xiaohui.bench.stage import free_port
from xiaohui.first_run import DevelopmentSecrets, development_secrets
from xiaohui.web import Surroundings, create_app

ADMIN = SystemPrincipal("scenarios")
ROUNDS_MAX = 40
ANSWER_LOOKS = 60
WORKER_WITHIN_S = 40.0
ANSWER_LOOK_S = 0.05
ZONE = ZoneInfo("Asia/Shanghai")


@dataclass
class Person:
    """Somebody with a phone. `seen` is how far down the screen they have read."""

    town: "Place"
    id: str
    seen: int = 0

    async def act(self, deed: str, **body: object) -> dict[str, Any]:
        """`wechat_oa/say`, `telegram/tap` …; what the sandbox tells about it."""
        done: dict[str, Any] = await self.town.control("POST", f"people/{self.id}/act/{deed}", body)
        return done

    async def answer_to(self, deed: str, **body: object) -> str:
        """What is shown after `deed`: the passive reply, or what follows it as a message of its own."""
        before = await self._last_change()
        await self.act(deed, **body)
        for _ in range(ANSWER_LOOKS):
            said = words([line for line in await self.screen() if line["rev"] > before])
            if said:
                return said
            await asyncio.sleep(ANSWER_LOOK_S)
        return ""

    async def _last_change(self) -> int:
        return max((line["rev"] for line in await self.screen()), default=0)

    async def says(self, text: str, channel: str = "wechat_oa") -> str:
        """The words shown in answer to `text`."""
        return await self.answer_to(f"{channel}/say", text=text)

    async def follows(self, **scene: str) -> str:
        """Follows the official account; the welcome."""
        return await self.answer_to("wechat_oa/follow", **scene)

    async def presses(self, label: str) -> str:
        """Presses the newest button that shows `label`; the answer."""
        for line in reversed(await self.screen()):
            for button in line["buttons"]:
                if label in button["text"]:
                    return await self.answer_to(f"{line['channel']}/tap", line=line["id"], button=button["id"])
        raise AssertionError(f"no button {label!r} on the screen of {self.id}: {await self.reads()}")

    async def screen(self) -> list[dict[str, Any]]:
        """Every line kept."""
        shown: dict[str, Any] = await self.town.control("GET", f"people/{self.id}/screen")
        lines: list[dict[str, Any]] = shown["lines"]
        return lines

    async def reads(self, channel: str = "") -> list[str]:
        """What came in since the last look (on one channel, or anywhere), other than their own words."""
        lines = [line for line in await self.screen() if line["id"] > self.seen]
        self.seen = max([self.seen, *(line["id"] for line in lines)])
        return [line["text"] for line in lines if line["from"] == "account" and channel in {"", line["channel"]}]

    async def joins(self, phone: str) -> None:
        """Becomes a member in the chat, with a phone number proven by SMS."""
        await self.says("注册")
        await self.presses("同意，用手机号加入")
        assert "验证码已发往" in await self.says(phone)
        await self.town.work()
        code = re.search(r"\b(\d{6})\b", (await self.reads("sms"))[-1])
        assert code is not None
        assert "欢迎" in await self.says(code[1])

    async def member_id(self) -> int:
        """The product's own id of this human, by the official account's openid."""
        who = await self.town.control("GET", f"people/{self.id}")
        found = await db.fetch_value(
            "SELECT member_id FROM channel_identity WHERE external_id = ANY($1)",
            [*who["wechat"]["openids"].values(), str(who["telegram"]["id"])],
        )
        assert isinstance(found, int), f"nobody knows {self.id}"
        return found

    async def mini(self) -> Caller:
        """Logged in to the mini-program."""
        code = (await self.act("wechat_mini/login"))["data"]["code"]
        heard = await self.town.anyone.post("/v1/sessions/mini-program", {"account": "main", "code": code})
        assert heard.status == 201, heard
        return self.town.anyone.by(heard.json["token"])

    async def in_telegram(self) -> Caller:
        """Logged in to the Mini App inside Telegram."""
        data = (await self.act("telegram/init_data"))["data"]["init_data"]
        heard = await self.town.anyone.post("/v1/sessions/telegram", {"account": "main", "init_data": data})
        assert heard.status == 201, heard
        return self.town.anyone.by(heard.json["token"])

    async def me(self) -> dict[str, Any]:
        """Their card in the mini-program."""
        card: dict[str, Any] = ok(await (await self.mini()).get("/v1/me"))
        return card


@dataclass
class Place:
    """Where the product and the sandbox answer, and what can be done there."""

    base: str
    platforms: str
    keys: DevelopmentSecrets
    session: ClientSession

    async def work(self) -> None:
        """What is due gets done: by default by a worker elsewhere, which is waited for."""
        await eventually(self.rests, within_s=WORKER_WITHIN_S)

    @property
    def anyone(self) -> Caller:
        """A caller of the API without a session."""
        return Caller(self.session, self.base)

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """The sandbox's control API."""
        url = f"{self.platforms}/sandbox/control/{path}"
        async with self.session.request(method, url, json=body) as answer:
            heard = await answer.json()
            assert answer.status < 300, (path, heard)
            return heard

    async def person(self, name: str = "小林", **more: object) -> Person:
        """Somebody new in town."""
        made = await self.control("POST", "people", {"id": f"p{secrets.token_hex(4)}", "name": name, **more})
        return Person(self, made["id"])

    async def store(self, name: str = "静安店") -> int:
        """A shop."""
        async with db.unit_of_work():
            code = f"s{secrets.token_hex(3)}"
            view = await staff.add_store(code=code, name=name, city="上海", principal=ADMIN, now=clock.now())
        return view.id

    async def hires(self, role: Role, store_id: int | None, name: str = "张店员") -> Person:
        """Somebody in the corp's WeCom who works for the shop."""
        user_id = f"w{secrets.token_hex(4)}"
        made = await self.control(
            "POST", "people", {"id": user_id, "name": name, "kind": "staff", "wecom_userid": user_id}
        )
        async with db.unit_of_work():
            await staff.add_staff(
                corp_id=self.keys.keys["corp_id"],
                user_id=user_id,
                name=name,
                role=role,
                store_id=store_id,
                principal=ADMIN,
                now=clock.now(),
            )
        return Person(self, made["id"])

    async def offers(self, **values: Any) -> str:
        """The code of a new coupon that everybody may claim."""
        return (await shop.template(now=clock.now(), **values)).code

    async def till(self) -> Caller:
        """A cash register of the brand."""
        async with db.unit_of_work():
            made = await staff.add_partner(name="收银", store_id=None, principal=ADMIN, now=clock.now())
        return self.anyone.by(made.key)

    async def sells(self, till: Caller, buyer: Person, amount_fen: int) -> Any:
        """A purchase reported by the register."""
        report = {
            "external_id": secrets.token_hex(6),
            "member": (await buyer.me())["id"],
            "amount_fen": amount_fen,
            "occurred_at": clock.now().isoformat(),
        }
        return ok(await till.post("/v1/partner/purchases", report))

    async def waiting(self) -> int:
        """Rows that are due now."""
        found: int = await db.fetch_value(
            "SELECT (SELECT count(*) FROM event_pending WHERE dead_reason IS NULL)"
            " + (SELECT count(*) FROM outbox WHERE status IN ('leased', 'sending')"
            "       OR (status = 'queued' AND due_at <= $1))",
            clock.now(),
        )
        return found

    async def rests(self) -> bool:
        """Nothing that is due waits."""
        return await self.waiting() == 0


@dataclass
class Town(Place):
    """The whole product in this process, whose time can be moved and whose worker works when told."""

    around: Surroundings
    hands: Hands

    async def until(self, hour: int) -> None:
        """The next time it is `hour` o'clock in the shop."""
        there = clock.now().astimezone(ZONE)
        then = there.replace(hour=hour, minute=0, second=0, microsecond=0)
        await self.passes((then if then > there else then + timedelta(days=1)) - there)

    async def passes(self, span: timedelta) -> None:
        """Time goes by, and the worker does what has become due."""
        await self.control("POST", "clock", {"advance_s": span.total_seconds()})
        await self.work()

    async def work(self) -> None:
        """Every duty of the worker until none of them finds anything."""
        for _ in range(ROUNDS_MAX):
            for duty in DUTIES:
                while await duty.run(self.hands):
                    pass
            if not await self.waiting():
                return
        raise AssertionError("the worker never came to rest")

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """The real worker, on its own timers and bells."""
        around = self.around
        worker = Worker(around.settings, around.channels, sms=around.accounts.sms, http=around.http)
        working = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            await worker.stop()
            await working


async def eventually(look: Callable[[], Awaitable[bool]], *, within_s: float) -> float:
    """Seconds until `look` says yes."""
    started = time.monotonic()
    while not await look():
        assert time.monotonic() - started < within_s, f"not within {within_s} s"
        await asyncio.sleep(0.1)
    return time.monotonic() - started


def words(lines: Sequence[dict[str, Any]]) -> str:
    """What the product said in these lines."""
    return "\n".join(line["text"] for line in lines if line["from"] == "account")


def ok(heard: Heard) -> Any:
    """The document of an answer that is no refusal."""
    assert heard.status < 300, heard
    return heard.json if heard.body else None


def number_after(text: str, label: str) -> int:
    """The first whole number behind `label`."""
    found = re.search(re.escape(label) + r"\D*(\d+)", text)
    assert found is not None, (label, text)
    return int(found[1])


@asynccontextmanager
async def built(folder: Path, redis_url: str) -> AsyncIterator[Town]:
    """The product and the sandbox on one port, as `xiaohui run` composes them, over the tests' database."""
    base = f"http://127.0.0.1:{(port := free_port())}"
    keys = development_secrets(folder)
    accounts = sandboxed.accounts(keys, base)
    settings = config.load({"XIAOHUI_CONFIG": "xiaohui.toml", "XIAOHUI_PUBLIC_URL": base, "XIAOHUI_SANDBOX": "1"})
    http, redis = PlatformHttp(), Redis.from_url(redis_url)
    channels = build_channels(accounts, http)
    around = Surroundings(settings, accounts, http, channels, redis, Lifecycle())
    sandbox = sandboxed.sandbox(accounts, base, folder / "sandbox")
    runner = web.AppRunner(create_app(around, sandbox=sandbox), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    hands = Hands(Outbound(channels, sms=HttpSms(accounts.sms, http) if accounts.sms else None), channels)
    async with ClientSession() as session:
        try:
            yield Town(base, base, keys, session, around, hands)
        finally:
            await runner.cleanup()
            await http.close()
            await redis.aclose()
