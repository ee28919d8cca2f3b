"""The official account end to end: what people do, what is said back, what goes out."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from bot.calls import CallFailed
from bot.channel import (
    Accepted,
    Delivery,
    Forged,
    Handshake,
    Malformed,
    Outgoing,
    Rejected,
    RejectReason,
    SendResult,
    Unknown,
)
from bot.http import PlatformHttp
from bot.wechat_oa.adapter import WechatOfficialAccount, publish_entrances
from bot.wechat_oa.client import SnapshotUser
from bot.wx_api import CodeRefused
from handlers.messages import (
    AuthorisationRevoked,
    Button,
    Card,
    CardRow,
    Click,
    Content,
    Follow,
    Inbound,
    Media,
    MenuItem,
    Reply,
    Scan,
    SenderKind,
    SendOutcome,
    SendReport,
    SubscribeChoice,
    SubscribeGrants,
    Text,
    Unfollow,
    Unhandled,
)
from loyalty import clock
from tests.bot.remembered_tokens import remembered
from tests.bot.wechat_oa.platform_side import (
    MAILBOX,
    OPENID,
    WechatServer,
    account,
    address_check,
    in_clear,
    push,
    said,
    sealed,
    shown,
)

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
PAYLOADS = Path(__file__).parent / "payloads"
CUSTOM = "/cgi-bin/message/custom/send"
TEMPLATE = "/cgi-bin/message/template/send"


@pytest.fixture
def wechat() -> WechatServer:
    return WechatServer()


@pytest.fixture
async def channel(wechat: WechatServer) -> AsyncIterator[WechatOfficialAccount]:
    http = PlatformHttp()
    async with TestServer(wechat.application()) as server:
        yield WechatOfficialAccount(account(str(server.make_url("/")).rstrip("/")), http, remembered)
    await http.close()


def offline(**changes: Any) -> WechatOfficialAccount:
    return WechatOfficialAccount(account(**changes), PlatformHttp(), remembered)


def heard(message: str) -> Inbound:
    delivery = offline().open(sealed(message, at=NOW))
    assert isinstance(delivery, Delivery)
    return delivery.messages[0]


MEANING: dict[str, Content] = {
    "text_check_in": Text("签到"),
    "text_menu_reply": Click("points"),
    "subscribe": Follow(),
    "subscribe_by_qr": Follow("store42"),
    "subscribe_after_payment": Follow(),
    "unsubscribe": Unfollow(),
    "scan_lower_case": Scan("qrscene_kept"),
    "click": Click("CHECKIN"),
    "scancode_waitmsg": Scan("member-code-1"),
    "image": Media("image", {"MediaId": "m1", "PicUrl": "http://mmbiz.qpic.cn/x/0"}),
    "location_report": Unhandled("location", recognised=True),
    "view": Unhandled("view", recognised=True, fields={"EventKey": "https://shop.example/", "MenuId": "12"}),
    "subscribe_popup": SubscribeGrants({"T1": SubscribeChoice.ACCEPT, "T2": SubscribeChoice.REJECT}),
    "subscribe_change": SubscribeGrants({"T1": SubscribeChoice.REJECT}, managed=True),
    "template_blocked": SendReport("9007199254740993", SendOutcome.BLOCKED, detail="failed:user block"),
    "template_failed": SendReport("7", SendOutcome.FAILED, detail="failed: system failed"),
    "authorisation_revoked": AuthorisationRevoked(("8", "20")),
    "account_cancelled": AuthorisationRevoked(cancelled=True),
}


@pytest.mark.parametrize("name", MEANING)
def test_each_captured_push_means_what_it_should(name: str) -> None:
    message = heard((PAYLOADS / f"{name}.xml").read_text().strip())
    assert message.content == MEANING[name]
    assert message.addressed_to == MAILBOX


def test_every_captured_push_is_tested() -> None:
    assert {path.stem for path in PAYLOADS.glob("*.xml")} == {*MEANING, "subscribe_sent_two"}


def test_one_push_about_two_sends_is_two_reports() -> None:
    delivery = offline().open(sealed((PAYLOADS / "subscribe_sent_two.xml").read_text().strip(), at=NOW))
    assert isinstance(delivery, Delivery)
    first, second = delivery.messages
    assert first.content == SendReport("1700827132819554304", SendOutcome.DELIVERED, "T1", "0 success")
    assert second.content == SendReport("1700827132819554305", SendOutcome.BLOCKED, "T2", "43004 user block")
    assert first.key != second.key
    assert first.sender.kind is SenderKind.PLATFORM


def test_a_privacy_event_is_about_the_person_in_its_body() -> None:
    message = heard((PAYLOADS / "account_cancelled.xml").read_text().strip())
    assert (message.sender.external_id, message.sender.app_id) == ("oThePerson", "wx1234567890abcdef")
    assert (message.sender.kind, message.sender.union_id) == (SenderKind.PLATFORM, "uThePerson")


def test_clicks_of_one_second_differ_and_a_repeat_does_not() -> None:
    keys = [heard(push(NOW, MsgType="event", Event="CLICK", EventKey=key)).key for key in ("a", "b", "a")]
    assert keys[0] == keys[2] != keys[1]


def test_an_enormous_message_id_is_a_key_of_ordinary_length() -> None:
    assert len(heard(said("hi", at=NOW, message_id="9" * 4000)).key) == 64
    assert heard(said("hi", at=NOW, message_id="0")).key != "0"


def test_a_time_that_cannot_be_is_the_time_of_arrival() -> None:
    for stamp in ("-5", "99999999999999999999", "yesterday", ""):
        body = said("hi", at=NOW).replace(str(int(NOW.timestamp())), stamp)
        assert heard(body).sent_at == NOW


def test_a_push_without_sender_or_kind_is_malformed() -> None:
    for body in (
        said("hi", at=NOW).replace(OPENID, ""),
        said("hi", at=NOW).replace(OPENID, "o" * 200),
        push(NOW, Content="hi"),
    ):
        with pytest.raises(Malformed):
            heard(body)


def test_the_address_check_is_echoed_only_when_signed() -> None:
    check = address_check("8812345", at=NOW)
    outcome = offline().open(check)
    assert isinstance(outcome, Handshake)
    assert (outcome.response.body, outcome.response.content_type) == (b"8812345", "text/plain")
    for wrong in (
        replace(check, query={**check.query, "nonce": "1"}),
        replace(check, query={name: value for name, value in check.query.items() if name != "echostr"}),
        address_check("8812345", at=NOW, token="another"),
    ):
        with pytest.raises(Forged):
            offline().open(wrong)


def test_compatibility_mode_believes_only_the_encrypted_part() -> None:
    genuine = sealed(said("genuine", at=NOW), at=NOW)
    clear = b"<MsgType>text</MsgType><Content>forged</Content>"
    both = replace(genuine, body=genuine.body.replace(b"</xml>", clear + b"</xml>"))
    delivery = offline().open(both)
    assert isinstance(delivery, Delivery)
    assert delivery.messages[0].content == Text("genuine")


def test_plain_mode_takes_both_and_answers_in_the_clear() -> None:
    channel = offline(plain_mode=True, encoding_aes_key="")
    delivery = channel.open(in_clear(said("hi", at=NOW).encode(), at=NOW))
    assert isinstance(delivery, Delivery)
    assert (
        b"<Content><![CDATA[hello]]></Content>" in channel.answer(Reply("hello"), to=delivery.messages[0], now=NOW).body
    )
    with pytest.raises(Forged):
        channel.open(sealed(said("hi", at=NOW), at=NOW))


def test_an_account_without_token_or_key_does_not_start() -> None:
    with pytest.raises(Exception, match="token"):
        offline(token="")
    with pytest.raises(ValueError, match="43"):
        offline(encoding_aes_key="")


def test_a_passive_reply_is_addressed_back() -> None:
    fields = shown(offline().answer(Reply("你好"), to=heard(said("hi", at=NOW)), now=NOW))
    assert (fields["ToUserName"], fields["FromUserName"]) == (OPENID, MAILBOX)
    assert (fields["MsgType"], fields["Content"]) == ("text", "你好")


def test_nobody_is_spoken_to_after_leaving() -> None:
    gone = heard((PAYLOADS / "unsubscribe.xml").read_text().strip())
    assert offline().answer(Reply("bye"), to=gone, now=NOW).body == b"success"


def test_buttons_are_links_and_a_card_is_lines() -> None:
    reply = Reply(
        "选一个",
        buttons=(Button("我的积分", key="points"), Button("商城", url="https://shop.example/?a=1&b=2")),
        card=Card("会员卡", rows=(CardRow("等级", "金卡"),), body="欢迎"),
    )
    content = shown(offline().answer(reply, to=heard(said("hi", at=NOW)), now=NOW))["Content"]
    assert content == (
        "选一个\n【会员卡】\n等级：金卡\n欢迎\n\n"
        '<a href="weixin://bizmsgmenu?msgmenucontent=我的积分&msgmenuid=points">我的积分</a>\n'
        '<a href="https://shop.example/?a=1&b=2">商城</a>'
    )


async def send(channel: WechatOfficialAccount, route: str, **changes: object) -> SendResult:
    message = Outgoing("main", OPENID, route, Reply("words"), "outbox-1")
    return await channel.send(replace(message, **changes))  # type: ignore[arg-type]


async def test_a_token_refused_once_is_renewed_and_refused_twice_is_configuration(
    channel: WechatOfficialAccount, wechat: WechatServer
) -> None:
    wechat.answers(CUSTOM, {"errcode": 0})
    assert isinstance(await send(channel, "customer_service"), Accepted)
    wechat.valid_token = "revoked-by-somebody"
    wechat.answers(CUSTOM, {"errcode": 0})
    assert isinstance(await send(channel, "customer_service"), Accepted)
    assert wechat.tokens_issued == 1, "the platform's present token was taken, not a new one forced"
    for _ in range(2):
        wechat.answers(CUSTOM, {"errcode": 42001, "errmsg": "access_token expired"})
    result = await send(channel, "customer_service")
    assert isinstance(result, Rejected)
    assert (result.reason, result.code) == (RejectReason.CONFIGURATION, "42001")
    assert len(wechat.asked(CUSTOM)) == 5


async def test_an_answer_that_is_no_answer_leaves_the_outcome_unknown(
    channel: WechatOfficialAccount, wechat: WechatServer
) -> None:
    for nonsense in (b"<html>please log in to this network</html>", b"", b'{"errcode": "0"'):
        wechat.answers(CUSTOM, nonsense)
        assert isinstance(await send(channel, "customer_service"), Unknown)
    wechat.answers(CUSTOM, b"<html>not found</html>", status=404)
    refused = await send(channel, "customer_service")
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.code) == (RejectReason.CONFIGURATION, "http_404")


async def test_a_template_message_carries_what_it_must(channel: WechatOfficialAccount, wechat: WechatServer) -> None:
    wechat.answers(TEMPLATE, {"errcode": 0, "errmsg": "ok", "msgid": 9007199254740993})
    result = await send(
        channel,
        "template",
        template_id="T1",
        template_data={"thing1": "一个特别特别特别特别特别特别特别长的名字啊啊", "amount2": "¥12.50"},
        page="https://shop.example/o/1",
        client_message_id="a-very-long-outbox-key-that-the-platform-would-refuse",
    )
    assert result == Accepted("9007199254740993")
    ((_query, body),) = wechat.asked(TEMPLATE)
    assert "¥12.50".encode() in body, "sent as it is, not as an escape"
    import json

    sent = json.loads(body)
    assert len(sent["data"]["thing1"]["value"]) == 20
    assert len(sent["client_msg_id"]) == 32
    assert sent["url"] == "https://shop.example/o/1"


async def test_template_data_that_would_be_refused_does_not_leave(
    channel: WechatOfficialAccount, wechat: WechatServer
) -> None:
    result = await send(channel, "subscribe", template_id="T1", template_data={"phrase1": "六个汉字太长"})
    assert result == Rejected(RejectReason.CONTENT, "field", "phrase1")
    assert isinstance(await send(channel, "template"), Rejected)
    assert wechat.calls == []


async def test_a_repeat_that_the_platform_knows_counts_as_accepted(
    channel: WechatOfficialAccount, wechat: WechatServer
) -> None:
    wechat.answers(TEMPLATE, {"errcode": 45065, "errmsg": "clientmsgid exist"})
    assert isinstance(await send(channel, "template", template_id="T", template_data={"thing1": "a"}), Accepted)


async def test_oauth_tells_people_from_snapshots(channel: WechatOfficialAccount, wechat: WechatServer) -> None:
    path = "/sns/oauth2/access_token"
    user = {"access_token": "u", "openid": OPENID, "scope": "snsapi_userinfo", "unionid": "u1"}
    wechat.valid_token = None
    wechat.answers(path, user)
    login = await channel.client.exchange_code("c1")
    assert (login.openid, login.union_id) == (OPENID, "u1")
    wechat.answers(path, {**user, "is_snapshotuser": 1})
    with pytest.raises(SnapshotUser):
        await channel.client.exchange_code("c2")
    wechat.answers(path, {"errcode": 40163, "errmsg": "code been used"})
    with pytest.raises(CodeRefused):
        await channel.client.exchange_code("c1")
    assert wechat.tokens_issued == 0


async def test_a_page_is_signed_with_a_cached_ticket(channel: WechatOfficialAccount, wechat: WechatServer) -> None:
    path = "/cgi-bin/ticket/getticket"
    wechat.answers(path, {"errcode": 0, "errmsg": "ok", "ticket": "the-ticket", "expires_in": 7200})
    first = await channel.client.sign_page("https://shop.example/a?b=1#top", nonce="n")
    again = await channel.client.sign_page("https://shop.example/a?b=1", nonce="n")
    assert first.signature == again.signature
    assert len(wechat.asked(path)) == 1
    assert first.timestamp - int(clock.now().timestamp()) <= 0


async def test_a_menu_is_installed_and_an_oversized_one_refused(
    channel: WechatOfficialAccount, wechat: WechatServer
) -> None:
    wechat.answers("/cgi-bin/menu/create", {"errcode": 0, "errmsg": "ok"})
    menu = (
        MenuItem("签到", key="check_in"),
        MenuItem("会员", children=(MenuItem("积分", key="points"), MenuItem("会员卡", url="https://m.example/"))),
    )
    await publish_entrances(channel, menu)
    ((_query, body),) = wechat.asked("/cgi-bin/menu/create")
    assert '"sub_button":[{"name":"积分","type":"click","key":"points"}'.encode() in body
    with pytest.raises(ValueError, match="at most 3"):
        await publish_entrances(channel, menu * 2)
    wechat.answers("/cgi-bin/menu/create", {"errcode": 48001, "errmsg": "api unauthorized"})
    with pytest.raises(CallFailed):
        await publish_entrances(channel, menu)


async def test_a_scene_code_and_a_follower_and_a_picture(channel: WechatOfficialAccount, wechat: WechatServer) -> None:
    wechat.answers(
        "/cgi-bin/qrcode/create", {"ticket": "gQ/+=", "expire_seconds": 60, "url": "http://weixin.qq.com/q/1"}
    )
    code = await channel.client.create_qr("store42", lives_s=60)
    assert code.image_url.endswith("/cgi-bin/showqrcode?ticket=gQ%2F%2B%3D")
    wechat.answers("/cgi-bin/user/info", {"subscribe": 1, "openid": OPENID, "unionid": "u1", "qr_scene_str": "store42"})
    follower = await channel.client.follower(OPENID)
    assert (follower.subscribed, follower.union_id, follower.qr_scene) == (True, "u1", "store42")
    wechat.answers("/cgi-bin/user/info", {"subscribe": 0, "openid": OPENID})
    assert not (await channel.client.follower(OPENID)).subscribed
    wechat.valid_token = "newer"
    wechat.answers("/cgi-bin/media/upload", {"type": "image", "media_id": "m1", "created_at": 1})
    assert await channel.client.upload_image(b"\x89PNG", "code.png") == "m1"
    assert b"\x89PNG" in wechat.asked("/cgi-bin/media/upload")[-1][1], "the form was built anew for the second try"


def test_login_addresses_are_built_in_the_order_that_clients_want() -> None:
    genuine = offline(api_base="https://api.weixin.qq.com").client.login_url("https://shop.example/in?x=1", "s1")
    assert genuine == (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1234567890abcdef"
        "&redirect_uri=https%3A%2F%2Fshop.example%2Fin%3Fx%3D1&response_type=code&scope=snsapi_base&state=s1"
        "#wechat_redirect"
    )
    sandbox = offline(api_base="http://127.0.0.1:8080/sandbox/platform/wechat").client
    assert sandbox.login_url("https://x/", "s").startswith("http://127.0.0.1:8080/sandbox/platform/wechat/connect/")
