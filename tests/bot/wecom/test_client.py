import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from bot.calls import CallFailed
from bot.channel import Rejected, RejectReason, Unknown
from bot.http import PlatformHttp
from bot.wecom import customers, messages
from bot.wecom.api import LoginCodeRefused
from bot.wecom.client import NotStaff, WecomClient
from bot.wecom.customers import ContactWay, DeliveryState, GroupSend
from bot.wecom.refusals import REASONS, TOKEN_CODES, rejection
from handlers.messages import Button, Card, CardRow, Reply
from tests.bot.remembered_tokens import remembered
from tests.bot.wecom.platform_side import WecomServer, account

EXTERNAL = "/cgi-bin/externalcontact/"


@pytest.fixture
def server() -> WecomServer:
    return WecomServer()


@pytest.fixture
async def client(server: WecomServer) -> AsyncIterator[WecomClient]:
    http = PlatformHttp()
    async with TestServer(server.application()) as running:
        yield WecomClient(account(str(running.make_url("/")).rstrip("/")), http, remembered)
        await http.close()


async def test_a_login_of_staff_has_a_userid(client: WecomClient, server: WecomServer) -> None:
    server.answers("/cgi-bin/auth/getuserinfo", {"userid": "zhangsan", "user_ticket": "t"})
    assert await client.staff_of_login("code-1") == "zhangsan"
    _path, query, _body = server.calls[-1]
    assert query["code"] == "code-1"


@pytest.mark.parametrize(
    "answer",
    [
        {"openid": "o1", "external_userid": "wm1"},
        {"OpenId": "o1"},
        {"userid": ""},
        {"userid": None},
        {"userid": ["zhangsan"]},
        {"UserId": "zhangsan"},
        {},
    ],
)
async def test_a_login_without_userid_is_never_staff(
    client: WecomClient, server: WecomServer, answer: dict[str, object]
) -> None:
    server.answers("/cgi-bin/auth/getuserinfo", answer)
    with pytest.raises(NotStaff):
        await client.staff_of_login("code-1")


@pytest.mark.parametrize("code", [40029, 42022])
async def test_a_used_or_wrong_login_code_is_told_apart(client: WecomClient, server: WecomServer, code: int) -> None:
    server.answers("/cgi-bin/auth/getuserinfo", {"errcode": code, "errmsg": "invalid code"})
    with pytest.raises(LoginCodeRefused):
        await client.staff_of_login("code-1")


async def test_a_customer_with_everybody_who_serves_them(client: WecomClient, server: WecomServer) -> None:
    contact = {"external_userid": "wm1", "name": "李四", "type": 1, "unionid": "u1"}
    first = {
        "userid": "rocky",
        "createtime": 1525779812,
        "add_way": 1,
        "state": "store42",
        "tags": [{"tag_id": "et1"}, {"type": 2}],
    }
    second = {"userid": "lisi", "remark_mobiles": ["13800000001"], "createtime": "odd"}
    server.answers(EXTERNAL + "get", {"external_contact": contact, "follow_user": [first], "next_cursor": "c2"})
    server.answers(EXTERNAL + "get", {"external_contact": contact, "follow_user": [second]})
    known = await client.customers.customer("wm1")
    assert (known.external_user_id, known.name, known.union_id, known.is_wechat_user) == ("wm1", "李四", "u1", True)
    assert [relation.staff_id for relation in known.relations] == ["rocky", "lisi"]
    rocky, lisi = known.relations
    assert (rocky.state, rocky.add_way, rocky.tag_ids) == ("store42", 1, ("et1",))
    assert rocky.since == datetime.fromtimestamp(1525779812, UTC)
    assert lisi.phones == ("13800000001",)
    assert [query.get("cursor") for path, query, _ in server.calls if path.endswith("/get")] == [None, "c2"]


async def test_customers_of_staff_come_in_pages(client: WecomClient, server: WecomServer) -> None:
    entry = {
        "external_contact": {"external_userid": "wm1", "type": 2},
        "follow_info": {"userid": "rocky", "tag_id": ["et1"]},
    }
    server.answers(EXTERNAL + "batch/get_by_user", {"external_contact_list": [entry], "next_cursor": "n"})
    (customer,), cursor = await client.customers.customers_of(["rocky"])
    assert (customer.is_wechat_user, customer.union_id, customer.relations[0].tag_ids, cursor) == (
        False,
        None,
        ("et1",),
        "n",
    )
    assert server.asked(EXTERNAL + "batch/get_by_user") == [{"userid_list": ["rocky"], "cursor": "", "limit": 100}]


async def test_a_former_customer_is_blocked(client: WecomClient, server: WecomServer) -> None:
    server.answers(EXTERNAL + "get", {"errcode": 84061, "errmsg": "not external contact"})
    with pytest.raises(CallFailed) as failed:
        await client.customers.customer("wm1")
    assert isinstance(failed.value.result, Rejected)
    assert failed.value.result.reason is RejectReason.BLOCKED


async def test_contact_codes_carry_the_channel(client: WecomClient, server: WecomServer) -> None:
    path = EXTERNAL + "add_contact_way"
    server.answers(path, {"config_id": "cf1", "qr_code": "https://qr"})
    server.answers(path, {})
    assert await client.customers.add_contact_way(["lisi"], state="store42") == ContactWay("cf1", "https://qr")
    assert server.asked(path)[0] == {
        "type": 1,
        "scene": 2,
        "skip_verify": True,
        "state": "store42",
        "remark": "",
        "user": ["lisi"],
    }
    with pytest.raises(CallFailed):
        await client.customers.add_contact_way(["lisi", "rocky"], state="store42")
    assert server.asked(path)[1]["type"] == 2


async def test_tags_and_remarks_change_one_relation(client: WecomClient, server: WecomServer) -> None:
    server.answers(EXTERNAL + "mark_tag", {})
    server.answers(EXTERNAL + "remark", {})
    await client.customers.mark_tags("lisi", "wm1", add=["et1"])
    await client.customers.remark("lisi", "wm1", name="王小明 金卡", phones=["13800138000"])
    assert server.asked(EXTERNAL + "mark_tag") == [
        {"userid": "lisi", "external_userid": "wm1", "add_tag": ["et1"], "remove_tag": []}
    ]
    assert server.asked(EXTERNAL + "remark") == [
        {"userid": "lisi", "external_userid": "wm1", "remark": "王小明 金卡", "remark_mobiles": ["13800138000"]}
    ]


async def test_a_group_send_and_its_results(client: WecomClient, server: WecomServer) -> None:
    server.answers(EXTERNAL + "add_msg_template", {"msgid": "g1", "fail_list": ["wm2"]})
    assert await client.customers.add_group_send(["wm1", "wm2"], "新品") == GroupSend("g1", ("wm2",))
    path = EXTERNAL + "get_groupmsg_send_result"
    server.answers(path, {"send_list": [{"external_userid": "wm1", "userid": "lisi", "status": 1}], "next_cursor": "n"})
    server.answers(
        path, {"send_list": [{"external_userid": "wm3", "status": 3}, {"external_userid": "wm4", "status": 9}]}
    )
    results = await client.customers.group_send_results("g1", "lisi")
    assert [(r.staff_id, r.external_user_id, r.state) for r in results] == [
        ("lisi", "wm1", DeliveryState.SENT),
        ("lisi", "wm3", DeliveryState.CUSTOMER_LIMIT),
        ("lisi", "wm4", DeliveryState.NOT_YET),
    ]


async def test_a_welcome_gives_up_while_the_code_still_lives(
    client: WecomClient, server: WecomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert customers.WELCOME_BUDGET_S < 10
    monkeypatch.setattr(customers, "WELCOME_BUDGET_S", 0.2)

    async def never(*_args: object, **_how: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(client.customers._api, "post", never)
    with pytest.raises(CallFailed) as failed:
        await client.customers.welcome("W1", "欢迎")
    assert isinstance(failed.value.result, Unknown)


def test_every_code_of_the_table_has_one_meaning() -> None:
    assert set(TOKEN_CODES) <= set(REASONS)
    for code, reason in REASONS.items():
        rejected = rejection(code, "x" * 500)
        assert (rejected.reason, rejected.code, len(rejected.detail)) == (reason, str(code), 200)
        if reason is RejectReason.RATE:
            assert rejected.retry_after_s


def test_each_reply_takes_the_richest_type_that_carries_it() -> None:
    card = Card("王小明", (CardRow("等级", "金卡"),), body="生日月")
    page, other, key = (
        Button("资料", url="https://m/x"),
        Button("订单", url="https://m/o"),
        Button("核销", key="redeem"),
    )

    def kind(reply: Reply) -> object:
        body = messages.app_message(reply, client_message_id="c1")
        inner = body.get("template_card")
        return inner["card_type"] if isinstance(inner, dict) else body["msgtype"]

    assert kind(Reply(text="x")) == "text"
    assert kind(Reply(text="x", buttons=(page, other))) == "text"
    assert kind(Reply(text="x", buttons=(page,))) == "textcard"
    assert kind(Reply(card=card)) == "markdown"
    assert kind(Reply(card=card, buttons=(page, other))) == "text_notice"
    assert kind(Reply(card=card, buttons=(page, key))) == "button_interaction"
    assert kind(Reply(text="选一个\n哪张券？", buttons=(key,))) == "button_interaction"


def test_markdown_values_cannot_forge_links_or_mentions() -> None:
    hostile = Card("[点我](http://evil)", (CardRow("昵称", '<font color="warning">x</font> <@all>'),))
    text = messages.markdown(hostile, lead="")
    assert "](" not in text
    assert "<" not in text


def test_task_ids_fit_and_repeat() -> None:
    reply = Reply(card=Card("x", task_id="带空格 id"), buttons=(Button("y", key="z"),))
    made = messages.task_id_of(reply, "c1")
    assert made == messages.task_id_of(reply, "c2")
    assert made.startswith("m-")
    assert messages.task_id_of(Reply(text="x"), "c1") != messages.task_id_of(Reply(text="x"), "c2")
    assert messages.task_id_of(Reply(card=Card("x", task_id="find-1@8")), "c1") == "find-1@8"


words = st.text(max_size=3000)


@given(words, words, st.lists(st.tuples(words, words), max_size=9), st.integers(0, 9))
def test_every_message_stays_within_the_platforms_limits(
    text: str, title: str, rows: list[tuple[str, str]], buttons: int
) -> None:
    card = Card(title or "x", tuple(CardRow(label, value) for label, value in rows))
    reply = Reply(text=text, card=card, buttons=tuple(Button("按钮" * 20, key=str(i)) for i in range(buttons)))
    body = messages.app_message(reply, client_message_id="c1")
    if body["msgtype"] == "markdown":
        content = body["markdown"]
        assert isinstance(content, dict)
        assert len(content["content"].encode("utf-8", "surrogatepass")) <= 2048
        return
    shown = body["template_card"]
    assert isinstance(shown, dict)
    assert 1 <= len(shown["button_list"]) <= 6
    assert len(shown.get("horizontal_content_list", ())) <= 6
    assert len(shown["main_title"]["title"]) <= 26
