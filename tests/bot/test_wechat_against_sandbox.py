"""Official account and mini-program against the sandbox platforms, which share no code with them."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.accounts import WechatAccount
from bot.calls import CallFailed
from bot.channel import Accepted, Channel, Delivery, Handshake, Outgoing, RawRequest, Rejected, RejectReason
from bot.http import PlatformHttp
from bot.sandbox import config as sandbox
from bot.sandbox.app import create_sandbox
from bot.tokens import LeasedTokens
from bot.wechat_mini.adapter import WechatMiniProgram
from bot.wechat_oa.adapter import WechatOfficialAccount, publish_entrances
from bot.wechat_oa.client import SnapshotUser
from bot.wx_api import CodeRefused
from handlers.messages import (
    AuthorisationRevoked,
    Button,
    Click,
    Content,
    EnterChat,
    Follow,
    Inbound,
    MenuItem,
    Reply,
    Scan,
    SubscribeChoice,
    SubscribeGrants,
    Text,
    Unfollow,
)
from loyalty import clock

pytestmark = pytest.mark.usefixtures("database")
KEYS: dict[str, Any] = {
    "app_secret": "s" * 32,
    "token": "callbacktoken1",
    "encoding_aes_key": "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR",
}
APPS = {"wechat_oa": "wxoa000000000001", "wechat_mini": "wxmini0000000001"}


@dataclass
class Meeting:
    """Our two channels, the sandbox, and everything that was heard."""

    session: ClientSession
    base: str = ""
    oa: WechatOfficialAccount = field(init=False)
    mini: WechatMiniProgram = field(init=False)
    heard: list[Inbound] = field(default_factory=list)
    reply: Reply = field(default_factory=Reply)

    async def act(self, act: str, **body: object) -> dict[str, Any]:
        """Do something as 小林."""
        async with self.session.post(f"{self.base}/control/people/lin/act/{act}", json=body) as response:
            done: dict[str, Any] = await response.json()
            assert response.status == 200, done
            return done

    async def receive(self, request: web.Request) -> web.Response:
        """The product's hook, reduced to the channel."""
        channel: Channel = self.oa if request.match_info["channel"] == "wechat_oa" else self.mini
        raw = RawRequest(request.method, request.query, request.headers, await request.read(), clock.now())
        opened = channel.open(raw)
        if isinstance(opened, Handshake):
            return web.Response(body=opened.response.body, content_type=opened.response.content_type)
        assert isinstance(opened, Delivery)
        self.heard += opened.messages
        response = channel.answer(self.reply, to=opened.messages[0], now=clock.now())
        return web.Response(body=response.body, content_type=response.content_type)

    def last(self) -> Content:
        return self.heard[-1].content


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def pushes() -> Literal["xml", "json"]:
    """What the mini-program's console was set to."""
    return "xml"


@pytest.fixture
async def meeting(pushes: Literal["xml", "json"]) -> AsyncIterator[Meeting]:
    http = PlatformHttp()
    async with ClientSession() as session:
        met = Meeting(session)
        product = web.Application()
        product.router.add_route("*", "/hooks/{channel}/main", met.receive)
        async with TestServer(product) as hooks:
            port = free_port()
            world = sandbox.SandboxConfig(
                wechat=tuple(
                    sandbox.WechatAccount(
                        channel=channel,  # type: ignore[arg-type]
                        app_id=app_id,
                        callback_url=str(hooks.make_url(f"/hooks/{channel}/main")),
                        body=pushes if channel == "wechat_mini" else "xml",
                        **KEYS,
                    )
                    for channel, app_id in APPS.items()
                ),
                people=(sandbox.PersonSeed(id="lin", name="小林", phone="+8613800000001"),),
                templates=(sandbox.TemplateSeed(template_id="T1", title="积分变动", keys=("thing1", "number2")),),
                public_base=f"http://127.0.0.1:{port}",
            )
            async with TestServer(create_sandbox(world), port=port) as server:
                met.base = str(server.make_url("/")).rstrip("/")
                api = f"{met.base}/platform/wechat"
                met.oa = WechatOfficialAccount(
                    WechatAccount("main", APPS["wechat_oa"], api_base=api, **KEYS), http, LeasedTokens
                )
                met.mini = WechatMiniProgram(
                    WechatAccount("main", APPS["wechat_mini"], api_base=api, **KEYS), http, LeasedTokens
                )
                yield met
    await http.close()


async def test_a_conversation_in_the_official_account(meeting: Meeting) -> None:
    meeting.reply = Reply("欢迎 ]]> 小林 🎁", buttons=(Button("签到", key="check_in"),))
    followed = await meeting.act("wechat_oa/follow", scene="store42")
    assert meeting.last() == Follow("store42")
    assert followed["delivery"]["result"] == "replied"
    assert followed["delivery"]["reply"]["Content"].startswith("欢迎 ]]> 小林 🎁")
    await meeting.act("wechat_oa/say", text="签到 <>&\"' ]]> 😀")
    assert meeting.last() == Text("签到 <>&\"' ]]> 😀")
    screen = await (await meeting.session.get(f"{meeting.base}/control/people/lin/screen")).json()
    line = next(line for line in reversed(screen["lines"]) if line["from"] == "account")
    await meeting.act("wechat_oa/tap", line=line["id"], button=0)
    assert meeting.last() == Click("check_in")
    await meeting.act("wechat_oa/click", key="POINTS")
    assert meeting.last() == Click("POINTS")
    await meeting.act("wechat_oa/scan", scene="store43")
    assert meeting.last() == Scan("store43")
    await meeting.act("wechat_oa/subscribe", template_ids=["T1"], accept=True)
    assert meeting.last() == SubscribeGrants({"T1": SubscribeChoice.ACCEPT})
    await meeting.act("wechat_oa/manage_subscriptions", template_ids=["T1"])
    assert meeting.last() == SubscribeGrants({"T1": SubscribeChoice.REJECT}, managed=True)
    await meeting.act("wechat_oa/revoke", info="8")
    assert meeting.last() == AuthorisationRevoked(("8",))
    assert meeting.heard[-1].sender.external_id == meeting.heard[0].sender.external_id
    gone = await meeting.act("wechat_oa/unfollow")
    assert meeting.last() == Unfollow()
    assert gone["delivery"]["result"] == "accepted"
    assert len({message.key for message in meeting.heard}) == len(meeting.heard)


async def send(channel: Channel, to: Inbound, route: str, **changes: Any) -> object:
    message = Outgoing(
        "main", to.sender.external_id, route, Reply("一条消息"), f"outbox-{changes.pop('number', 1)}", **changes
    )
    return await channel.send(message)


async def test_what_the_official_account_may_send(meeting: Meeting) -> None:
    await meeting.act("wechat_oa/follow")
    person = meeting.heard[-1]
    data = {"template_id": "T1", "template_data": {"thing1": "消费奖励", "number2": "12"}}
    for _ in range(3):
        assert isinstance(await send(meeting.oa, person, "customer_service"), Accepted)
    over = await send(meeting.oa, person, "customer_service")
    assert isinstance(over, Rejected)
    assert over.reason is RejectReason.NO_WINDOW
    accepted = await send(meeting.oa, person, "template", **data)
    assert isinstance(accepted, Accepted)
    assert accepted.platform_message_id
    ungranted = await send(meeting.oa, person, "subscribe", **data)
    assert isinstance(ungranted, Rejected)
    assert ungranted.reason is RejectReason.NO_GRANT
    await meeting.act("wechat_oa/subscribe", template_ids=["T1"], accept=True)
    assert isinstance(await send(meeting.oa, person, "subscribe", **data), Accepted)
    await meeting.act("wechat_oa/unfollow")
    blocked = await send(meeting.oa, person, "template", **data, number=2)
    assert isinstance(blocked, Rejected)
    assert blocked.reason is RejectReason.BLOCKED


async def test_the_official_accounts_api(meeting: Meeting) -> None:
    await meeting.act("wechat_oa/follow")
    openid = meeting.heard[-1].sender.external_id
    follower = await meeting.oa.client.follower(openid)
    assert follower.subscribed
    assert follower.union_id
    await publish_entrances(meeting.oa, (MenuItem("签到", key="check_in"), MenuItem("商城", url="https://m.example/")))
    assert "check_in" in str(await meeting.oa.client.menu())
    code = await meeting.oa.client.create_qr("store42")
    async with meeting.session.get(code.image_url) as picture:
        assert picture.status == 200
    signed = await meeting.oa.client.sign_page("https://m.example/card")
    assert len(signed.signature) == 40
    login = (await meeting.act("wechat_oa/oauth", scope="snsapi_userinfo"))["data"]["code"]
    assert (await meeting.oa.client.exchange_code(login)).openid == openid
    with pytest.raises(CodeRefused):
        await meeting.oa.client.exchange_code(login)
    virtual = (await meeting.act("wechat_oa/oauth", snapshot=True))["data"]["code"]
    with pytest.raises(SnapshotUser):
        await meeting.oa.client.exchange_code(virtual)
    assert await meeting.oa.client.upload_image(b"\x89PNG\r\n\x1a\n", "x.png")


@pytest.mark.parametrize("pushes", ["xml", "json"])
async def test_the_mini_program(meeting: Meeting) -> None:
    await meeting.act("wechat_mini/enter", session_from="card")
    assert meeting.last() == EnterChat("card")
    await meeting.act("wechat_mini/say", text='积分怎么没到账 "]]>')
    assert meeting.last() == Text('积分怎么没到账 "]]>')
    person = meeting.heard[-1]
    assert isinstance(await send(meeting.mini, person, "customer_service"), Accepted)
    login = await meeting.mini.client.exchange_code((await meeting.act("wechat_mini/login"))["data"]["code"])
    assert login.openid == person.sender.external_id
    phone_code = (await meeting.act("wechat_mini/phone"))["data"]["code"]
    assert (await meeting.mini.client.phone_number(phone_code)).number == "+8613800000001"
    with pytest.raises(CodeRefused):
        await meeting.mini.client.phone_number(phone_code)
    await meeting.act("wechat_mini/subscribe", template_ids=["T1"], accept=True)
    assert meeting.last() == SubscribeGrants({"T1": SubscribeChoice.ACCEPT})
    data = {"template_id": "T1", "template_data": {"thing1": "消费奖励", "number2": "12"}, "page": "pages/index"}
    assert isinstance(await send(meeting.mini, person, "subscribe", **data), Accepted)
    used = await send(meeting.mini, person, "subscribe", **data)
    assert isinstance(used, Rejected)
    assert used.reason is RejectReason.NO_GRANT
    assert (await meeting.mini.client.code_picture("k=abc"))[:4]
    assert await meeting.mini.client.check_text(login.openid, "小林")


async def test_a_token_that_the_platform_dropped_is_replaced_unseen(meeting: Meeting) -> None:
    await meeting.act("wechat_oa/follow")
    person = meeting.heard[-1]
    assert isinstance(await send(meeting.oa, person, "customer_service"), Accepted)
    async with meeting.session.post(
        f"{meeting.base}/control/faults",
        json={"kind": "token_revoked", "platform": "wechat", "api": "/cgi-bin/message/*", "times": 1},
    ) as response:
        assert response.status in (200, 201), await response.text()
    assert isinstance(await send(meeting.oa, person, "customer_service"), Accepted)


async def test_an_unknown_account_of_the_platform_is_a_configuration_error(meeting: Meeting) -> None:
    http = PlatformHttp()
    keys: dict[str, Any] = {**KEYS, "app_secret": "wrong"}
    stranger = WechatOfficialAccount(
        WechatAccount("main", APPS["wechat_oa"], api_base=f"{meeting.base}/platform/wechat", **keys), http, LeasedTokens
    )
    with pytest.raises(CallFailed) as raised:
        await stranger.client.follower("o1")
    assert isinstance(raised.value.result, Rejected)
    assert raised.value.result.reason is RejectReason.CONFIGURATION
    await http.close()
