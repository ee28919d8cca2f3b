"""The channel against the sandbox platform: two implementations of one protocol that share no code."""

from collections.abc import AsyncIterator, Sequence

import pytest

from bot.channel import Accepted, Channel, Outgoing, Rejected, RejectReason
from bot.http import PlatformHttp
from bot.sandbox.config import PersonSeed, SandboxConfig
from bot.sandbox.config import WecomAccount as PlayedAccount
from bot.wecom.adapter import WecomChannel, publish_entrances
from bot.wecom.client import NotStaff
from handlers.messages import (
    Button,
    Card,
    CardPressed,
    CardRow,
    CustomerAdded,
    CustomerRemoved,
    MenuItem,
    Reply,
    Scan,
    Text,
)
from tests.bot.remembered_tokens import remembered
from tests.bot.talking_product import Town, town
from tests.bot.wecom.platform_side import AES_KEY, AGENT_ID, CORP_ID, SECRET, TOKEN, account

MEMBER = Card("王小明", (CardRow("等级", "金卡"),), task_id="find-1")


@pytest.fixture
async def http() -> AsyncIterator[PlatformHttp]:
    pool = PlatformHttp()
    yield pool
    await pool.close()


@pytest.fixture
async def place(http: PlatformHttp) -> AsyncIterator[Town]:
    def configure(product: str) -> SandboxConfig:
        played = PlayedAccount(
            corp_id=CORP_ID,
            agent_id=AGENT_ID,
            app_secret=SECRET,
            token=TOKEN,
            encoding_aes_key=AES_KEY,
            callback_url=f"{product}/hooks/wecom/main",
        )
        people = (
            PersonSeed(id="zhang", name="张店员", kind="staff", wecom_userid="ZhangSan"),
            PersonSeed(id="lin", name="小林", phone="+8613800000001"),
        )
        return SandboxConfig(wecom=(played,), people=people)

    def connect(sandbox: str) -> Sequence[Channel]:
        return [WecomChannel(account(f"{sandbox}/platform/wecom"), http, remembered)]

    async with town(configure, connect) as running:
        yield running


def channel_of(place: Town) -> WecomChannel:
    (channel,) = place.product.channels
    assert isinstance(channel, WecomChannel)
    return channel


async def test_the_console_accepts_our_address(place: Town) -> None:
    assert (await place.control("verify", channel="wecom"))["passed"] is True


async def test_words_come_back_in_the_same_round_trip(place: Town) -> None:
    place.product.reply = lambda _: Reply(text="请发手机号 ]]> 😀")
    act = await place.act("zhang", "wecom/say", text="帮助 ]]> 🎁")
    assert act["delivery"]["result"] == "replied"
    assert place.product.heard[0].content == Text("帮助 ]]> 🎁")
    assert [line["text"] for line in await place.lines("zhang")] == ["请发手机号 ]]> 😀"]


async def test_a_clerk_finds_a_member_and_presses_the_card(place: Town) -> None:
    def reply(inbound: object) -> Reply:
        if isinstance(inbound, CardPressed):
            return Reply(text="剩余 1 张", card=Card("已核销"))
        return Reply(card=MEMBER, buttons=(Button("核销", key="redeem:7"),))

    place.product.reply = lambda inbound: reply(inbound.content)
    await place.act("zhang", "wecom/scan", key="scan", result="XH 8231 0442 719")
    (card,) = await place.lines("zhang")
    assert card["kind"] == "template_card"
    assert "王小明" in card["text"]
    await place.act("zhang", "wecom/tap", line=card["id"], button=card["buttons"][0]["id"])
    scan, press = (inbound.content for inbound in place.product.heard)
    assert scan == Scan("XH 8231 0442 719")
    assert isinstance(press, CardPressed)
    assert (press.task_id, press.key) == ("find-1", "redeem:7")
    pressed, words = await place.lines("zhang")
    assert pressed["state"] == "done"
    assert "已核销" in pressed["text"]
    assert words["text"] == "剩余 1 张"
    assert all(isinstance(result, Accepted) for result in place.product.sent)


async def test_a_new_customer_is_welcomed_once(place: Town) -> None:
    await place.act("lin", "wecom/add_staff", person="zhang", state="store42")
    (told,) = place.product.heard
    added = told.content
    assert isinstance(added, CustomerAdded)
    assert (added.staff_id, added.state) == ("ZhangSan", "store42")
    hello = Outgoing("main", added.external_user_id, "welcome", Reply(text="欢迎"), "w1", token=added.welcome_code)
    channel = channel_of(place)
    assert await channel.send(hello) == Accepted()
    again = await channel.send(hello)
    assert isinstance(again, Rejected)
    assert again.reason is RejectReason.NO_WINDOW
    assert any("欢迎" in line["text"] for line in await place.lines("lin"))
    customer = await channel.client.customers.customer(added.external_user_id)
    assert (customer.name, customer.relations[0].staff_id, customer.relations[0].state) == (
        "小林",
        "ZhangSan",
        "store42",
    )
    assert customer.union_id
    page, _cursor = await channel.client.customers.customers_of(["ZhangSan"])
    assert [known.external_user_id for known in page] == [added.external_user_id]


async def test_the_reply_to_a_new_customer_is_the_welcome(place: Town) -> None:
    place.product.reply = lambda _: Reply(text="欢迎光临", buttons=(Button("领券", url="https://m/c"),))
    await place.act("lin", "wecom/add_staff", person="zhang")
    assert place.product.sent == [Accepted()]
    assert any("欢迎光临" in line["text"] for line in await place.lines("lin"))


async def test_a_welcome_after_twenty_seconds_is_too_late(place: Town) -> None:
    await place.act("lin", "wecom/add_staff", person="zhang")
    added = place.product.heard[0].content
    assert isinstance(added, CustomerAdded)
    await place.control("clock", advance_s=21)
    late = Outgoing("main", added.external_user_id, "welcome", Reply(text="欢迎"), "w1", token=added.welcome_code)
    result = await channel_of(place).send(late)
    assert isinstance(result, Rejected)
    assert result.reason is RejectReason.NO_WINDOW


async def test_a_contact_code_names_its_channel(place: Town) -> None:
    channel = channel_of(place)
    way = await channel.client.customers.add_contact_way(["ZhangSan"], state="poster7")
    assert way.qr_code_url
    await place.act("lin", "wecom/add_staff", config_id=way.config_id)
    added = place.product.heard[0].content
    assert isinstance(added, CustomerAdded)
    assert added.state == "poster7"
    await channel.client.customers.remark("ZhangSan", added.external_user_id, name="小林 金卡")
    await place.act("lin", "wecom/remove_staff", person="zhang")
    assert place.product.heard[1].content == CustomerRemoved("ZhangSan", added.external_user_id, by_customer=True)


async def test_a_group_send_reaches_nobody_before_staff_confirm(place: Town) -> None:
    await place.act("lin", "wecom/add_staff", person="zhang")
    customer = place.product.heard[0].sender.external_id
    channel = channel_of(place)
    sent = await channel.send(Outgoing("main", customer, "group_send", Reply(text="新品到店"), "g1"))
    assert isinstance(sent, Accepted)
    assert sent.platform_message_id
    assert "新品到店" not in [line["text"] for line in await place.lines("lin")]
    await place.act("zhang", "wecom/confirm", msgid=sent.platform_message_id)
    assert "新品到店" in [line["text"] for line in await place.lines("lin")]
    (result,) = await channel.client.customers.group_send_results(sent.platform_message_id, "ZhangSan")
    assert (result.external_user_id, result.state.name) == (customer, "SENT")


async def test_only_staff_log_in(place: Town) -> None:
    client = channel_of(place).client
    staff = await place.act("zhang", "wecom/oauth")
    assert await client.staff_of_login(staff["data"]["code"]) == "ZhangSan"
    outsider = await place.act("lin", "wecom/oauth")
    with pytest.raises(NotStaff):
        await client.staff_of_login(outsider["data"]["code"])


async def test_a_revoked_token_costs_one_renewal(place: Town) -> None:
    channel = channel_of(place)
    message = Outgoing("main", "ZhangSan", "app_message", Reply(text="升级了"), "m1")
    assert isinstance(await channel.send(message), Accepted)
    await place.control("faults", platform="wecom", api="/cgi-bin/message/*", kind="token_revoked", times=1)
    assert isinstance(await channel.send(message), Accepted)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(text="升级了"),
        Reply(card=MEMBER),
        Reply(text="看看\n新品", buttons=(Button("打开", url="https://m/x"),)),
        Reply(card=MEMBER, buttons=(Button("资料", url="https://m/x"), Button("订单", url="https://m/o"))),
        Reply(text="选一个", buttons=(Button("甲", key="a"), Button("乙", key="b"))),
    ],
    ids=["text", "markdown", "textcard", "text_notice", "button_interaction"],
)
async def test_the_platform_takes_each_type_of_message(place: Town, reply: Reply) -> None:
    sent = await channel_of(place).send(Outgoing("main", "ZhangSan", "app_message", reply, "m1"))
    assert isinstance(sent, Accepted)
    assert len(await place.lines("zhang")) == 1


async def test_people_who_are_not_staff_cannot_be_reached(place: Town) -> None:
    sent = await channel_of(place).send(Outgoing("main", "nobody", "app_message", Reply(text="x"), "m1"))
    assert isinstance(sent, Rejected)
    assert sent.reason is RejectReason.BLOCKED


async def test_the_menu_is_taken(place: Town) -> None:
    await publish_entrances(channel_of(place), (MenuItem("查会员", key="find"), MenuItem("今日", url="https://m/t")))
    await place.act("zhang", "wecom/click", key="find")
    assert len(place.product.heard) == 1
