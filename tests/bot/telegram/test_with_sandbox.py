"""The channel against the sandbox platform: two implementations of one protocol that share no code."""

from collections.abc import AsyncIterator, Sequence

import pytest

from bot.channel import Accepted, Channel, Outgoing, Rejected, RejectReason, Unknown
from bot.http import PlatformHttp
from bot.sandbox.config import PersonSeed, SandboxConfig
from bot.sandbox.config import TelegramAccount as PlayedAccount
from bot.telegram.adapter import TelegramChannel
from bot.telegram.entrances import publish_entrances
from bot.telegram.init_data import InitDataRefused, verify_init_data
from handlers.messages import Ask, Button, Card, CardRow, Click, Follow, MenuItem, Reply, SharedContact, Text, Unfollow
from loyalty import clock
from tests.bot.talking_product import Town, town
from tests.bot.telegram.platform_side import BOT_TOKEN, SECRET, account


@pytest.fixture
async def http() -> AsyncIterator[PlatformHttp]:
    pool = PlatformHttp()
    yield pool
    await pool.close()


@pytest.fixture
async def place(http: PlatformHttp) -> AsyncIterator[Town]:
    def configure(product: str) -> SandboxConfig:
        played = PlayedAccount(
            bot_token=BOT_TOKEN, webhook_secret=SECRET, callback_url=f"{product}/hooks/telegram/main"
        )
        people = (
            PersonSeed(id="lin", name="小林", phone="+8613800000001"),
            PersonSeed(id="ann", name="Ann", phone="+8613800000002", language="en"),
        )
        return SandboxConfig(telegram=(played,), people=people)

    def connect(sandbox: str) -> Sequence[Channel]:
        return [TelegramChannel(account(f"{sandbox}/platform/telegram"), http)]

    async with town(configure, connect) as running:
        yield running


def channel_of(place: Town) -> TelegramChannel:
    (channel,) = place.product.channels
    assert isinstance(channel, TelegramChannel)
    return channel


def to_lin(place: Town, reply: Reply) -> Outgoing:
    return Outgoing("main", place.product.heard[0].sender.external_id, "message", reply, "m1")


async def test_words_come_back_in_the_same_round_trip(place: Town) -> None:
    place.product.reply = lambda _: Reply(text='签到成功 ]]> "😀"', buttons=(Button("积分", key="points"),))
    await place.act("lin", "telegram/start", payload="shop_7")
    await place.act("lin", "telegram/say", text="签到 🎁")
    assert [inbound.content for inbound in place.product.heard] == [Follow("shop_7"), Text("签到 🎁")]
    lines = await place.lines("lin")
    assert [line["text"] for line in lines] == ['签到成功 ]]> "😀"'] * 2
    assert lines[0]["buttons"][0]["text"] == "积分"


async def test_the_language_of_the_client_is_known(place: Town) -> None:
    await place.act("ann", "telegram/start")
    assert (place.product.heard[0].sender.locale or "").startswith("en")


async def test_a_pressed_button_is_answered_and_stops_spinning(place: Town) -> None:
    place.product.reply = lambda _: Reply(text="120 分", buttons=(Button("明细", key="points:why"),))
    await place.act("lin", "telegram/start")
    (line,) = await place.lines("lin")
    await place.act("lin", "telegram/tap", line=line["id"], button=line["buttons"][0]["id"])
    pressed = place.product.heard[1].content
    assert isinstance(pressed, Click)
    assert pressed.key == "points:why"
    assert place.product.sent == [Accepted()]
    assert len(await place.lines("lin")) == 2


async def test_only_ones_own_number_is_shared(place: Town) -> None:
    place.product.reply = lambda _: Reply(text="注册", ask=Ask.SHARE_CONTACT, buttons=(Button("分享手机号"),))
    await place.act("lin", "telegram/start")
    (line,) = await place.lines("lin")
    assert (line["buttons"][0]["kind"], line["buttons"][0]["text"]) == ("contact", "分享手机号")
    await place.act("lin", "telegram/tap", line=line["id"], button=line["buttons"][0]["id"])
    await place.act("lin", "telegram/share_contact", of="ann")
    own, foreign = (inbound.content for inbound in place.product.heard[1:])
    assert own == SharedContact("8613800000001")
    assert not isinstance(foreign, SharedContact)


async def test_messages_out_of_turn(place: Town) -> None:
    await place.act("lin", "telegram/start")
    card = Card("升级", (CardRow("等级", "金卡"),), body="恭喜")
    sent = await channel_of(place).send(to_lin(place, Reply(card=card)))
    assert isinstance(sent, Accepted)
    assert sent.platform_message_id
    assert (await place.lines("lin"))[-1]["text"] == "升级\n等级  金卡\n恭喜"


async def test_who_blocked_us_is_not_reached(place: Town) -> None:
    await place.act("lin", "telegram/start")
    await place.act("lin", "telegram/block")
    assert place.product.heard[1].content == Unfollow()
    refused = await channel_of(place).send(to_lin(place, Reply(text="在吗")))
    assert isinstance(refused, Rejected)
    assert refused.reason is RejectReason.BLOCKED
    await place.act("lin", "telegram/unblock")
    assert place.product.heard[2].content == Follow()
    assert isinstance(await channel_of(place).send(to_lin(place, Reply(text="回来了"))), Accepted)


async def test_too_fast_is_told_with_a_time_to_wait(place: Town) -> None:
    await place.act("lin", "telegram/start")
    results = [await channel_of(place).send(to_lin(place, Reply(text=str(n)))) for n in range(8)]
    refused = [result for result in results if isinstance(result, Rejected)]
    assert refused
    assert {result.reason for result in refused} == {RejectReason.RATE}
    assert all(result.retry_after_s for result in refused)


async def test_a_lost_answer_is_unknown_and_was_delivered(place: Town) -> None:
    await place.act("lin", "telegram/start")
    await place.control("faults", platform="telegram", api="sendMessage", kind="drop_answer", times=1)
    assert isinstance(await channel_of(place).send(to_lin(place, Reply(text="一次"))), Unknown)
    assert [line["text"] for line in await place.lines("lin")] == ["一次"]


async def test_a_dropped_webhook_answer_comes_again_with_the_same_key(place: Town) -> None:
    await place.control("faults", platform="telegram", api="callback", kind="duplicate", times=1)
    await place.act("lin", "telegram/start")
    await place.control("settle")
    assert len({inbound.key for inbound in place.product.heard}) == 1
    assert len(place.product.heard) == 2


async def test_the_mini_app_login_of_the_platform_is_proven(place: Town) -> None:
    await place.act("lin", "telegram/start")
    raw = (await place.act("lin", "telegram/init_data", start_param="ref_1"))["data"]["init_data"]
    proof = verify_init_data(raw, bot_token=BOT_TOKEN, now=clock.now())
    assert str(proof.person.id) == place.product.heard[0].sender.external_id
    assert proof.start_param == "ref_1"
    with pytest.raises(InitDataRefused):
        verify_init_data(raw, bot_token=BOT_TOKEN + "x", now=clock.now())


async def test_entrances_are_taken(place: Town) -> None:
    channel = channel_of(place)
    assert await channel.client.username() == "xiaohui_bot"
    callback = (await channel.client.webhook_status()).url
    menu = (MenuItem("签到", key="check_in", command="checkin"), MenuItem("会员卡", url="https://m.example.cn/m/"))
    await publish_entrances(channel.client, {"": menu, "en": menu}, webhook_url=callback, webhook_secret=SECRET)
    await place.act("lin", "telegram/start")
    await place.act("lin", "telegram/say", text="/checkin")
    assert place.product.heard[1].content == Text("/checkin")
    assert place.product.refused == 0
