"""What members want, or do not want any more: joining, language, silence, their data."""

import re
from datetime import timedelta

import pytest

from loyalty import clock, db
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Notice
from tests.scenarios.town import Person, Town, ok

PHONE = "13800000009"


async def advertise(person: Person, key: str) -> None:
    """A marketing message is queued for the person, and the worker looks."""
    now = clock.now()
    notice = Notice(
        key=key,
        notice="birthday",
        send_class="marketing",
        purpose=outbox.MARKETING,
        member_id=await person.member_id(),
        params={"points": 0},
        due_at=now,
        give_up_at=now + timedelta(hours=2),
    )
    async with db.unit_of_work():
        await outbox.queue(notice, now=now)
    await person.town.work()


async def outcome(key: str) -> tuple[str, str | None]:
    row = await db.fetch_one("SELECT status, code FROM outbox WHERE key = $1", key)
    assert row is not None
    return row["status"], row["code"]


async def test_a_member_joins_in_the_chat_with_a_code_by_sms(town: Town) -> None:
    lin = await town.person(phone=f"+86{PHONE}")
    await lin.follows(scene="store:s1")
    await lin.says("我想加入你们会员")
    await lin.joins(PHONE)
    me = await lin.me()
    assert (me["is_registered"], me["phone"]) == (True, "138****0009")
    assert PHONE not in "".join(await lin.reads("wechat_oa"))
    granted = await db.fetch("SELECT purpose, evidence FROM consent WHERE granted")
    assert {row["purpose"] for row in granted} >= {"account"}
    assert all(row["evidence"] for row in granted)


async def test_a_wrong_code_is_told_and_the_right_one_still_works(town: Town) -> None:
    lin = await town.person(phone=f"+86{PHONE}")
    await lin.follows()
    await lin.says("注册")
    await lin.presses("同意，用手机号加入")
    await lin.says(PHONE)
    await town.work()
    code = re.search(r"\b(\d{6})\b", (await lin.reads("sms"))[-1])
    assert code is not None
    wrong = f"{(int(code[1]) + 1) % 10**6:06d}"
    assert "欢迎" not in await lin.says(wrong)
    assert "欢迎" in await lin.says(code[1])
    assert (await lin.me())["is_registered"]


async def test_a_member_joins_in_the_mini_program_with_wechats_own_phone(town: Town) -> None:
    lin = await town.person(phone=f"+86{PHONE}")
    mini = await lin.mini()
    ok(await mini.post("/v1/me/registration", {"name": "林小满"}))
    code = (await lin.act("wechat_mini/phone"))["data"]["code"]
    ok(await mini.post("/v1/me/phone", {"account": "main", "code": code}))
    me = ok(await mini.get("/v1/me"))
    assert (me["is_registered"], me["phone"], me["name"]) == (True, "138****0009", "林**")
    assert (await mini.post("/v1/me/phone", {"account": "main", "code": code})).status >= 400


async def test_an_english_speaker_is_spoken_to_in_english(town: Town) -> None:
    alex = await town.person("Alex", language="en")
    welcome = await alex.answer_to("telegram/start")
    said = await alex.says("check in", "telegram")
    for words in (welcome, said, await alex.says("my points", "telegram"), await alex.says("xyzzy plugh", "telegram")):
        assert words
        assert re.search(r"[\u4e00-\u9fff]", words) is None, words
    till = await town.till()
    card = ok(await (await alex.in_telegram()).get("/v1/me"))
    report = {"external_id": "en-1", "member": card["id"], "amount_fen": 60_000, "occurred_at": clock.now().isoformat()}
    ok(await till.post("/v1/partner/purchases", report))
    await alex.reads()
    await town.work()
    (notice,) = await alex.reads("telegram")
    assert "Silver" in notice
    await town.passes(timedelta(days=3))
    assert ok(await (await alex.in_telegram()).get("/v1/me"))["tier"]["name"] == "Silver"


async def test_unsubscribing_stops_marketing_at_once_and_nothing_else(town: Town) -> None:
    lin = await town.person()
    await lin.follows()
    await lin.says("订阅")
    await town.work()
    await lin.reads()
    await advertise(lin, "ad-1")
    assert (await outcome("ad-1"))[0] == "accepted"
    assert len(await lin.reads("wechat_oa")) == 1
    await lin.says("退订")
    await lin.reads()
    await town.passes(timedelta(days=1))
    await lin.says("帮助")
    await lin.reads()
    await advertise(lin, "ad-2")
    assert await outcome("ad-2") == ("suppressed", "no_consent")
    assert await lin.reads() == []
    await town.sells(await town.till(), lin, 60_000)
    await town.work()
    assert any("银卡" in text for text in await lin.reads())


async def test_withdrawn_between_queue_and_send_is_not_sent(town: Town) -> None:
    lin = await town.person()
    await lin.follows()
    await lin.says("订阅")
    await town.work()
    now = clock.now()
    notice = Notice(
        key="ad-3",
        notice="birthday",
        send_class="marketing",
        purpose=outbox.MARKETING,
        member_id=await lin.member_id(),
        params={"points": 0},
        due_at=now,
        give_up_at=now + timedelta(hours=2),
    )
    async with db.unit_of_work():
        await outbox.queue(notice, now=now)
    await lin.says("退订")
    await lin.reads()
    await town.work()
    assert await outcome("ad-3") == ("suppressed", "no_consent")
    assert await lin.reads() == []


async def calls(town: Town) -> list[str]:
    """Messages that the product asked the platforms to deliver."""
    entries = (await town.control("GET", "wire?limit=600"))["entries"]
    sends = ("message/custom/send", "template/send", "subscribe", "sendMessage", "message/send")
    return [entry["api"] for entry in entries if entry["kind"] == "api" and any(part in entry["api"] for part in sends)]


@pytest.mark.parametrize("leaving", ["wechat_oa/unfollow", "telegram/block"])
async def test_who_left_or_blocked_us_is_not_tried_again(town: Town, leaving: str) -> None:
    lin = await town.person()
    channel = leaving.partition("/")[0]
    if channel == "telegram":
        await lin.answer_to("telegram/start")
    else:
        await lin.follows()
        await lin.says("签到")
    await lin.act(leaving)
    await town.work()
    before = len(await calls(town))
    now = clock.now()
    notices = [
        Notice(
            key=f"notice-{number}",
            notice="account_linked",
            send_class="service_notice",
            purpose=outbox.TRANSACTION,
            member_id=await lin.member_id(),
            due_at=now,
            give_up_at=now + timedelta(hours=30),
        )
        for number in range(3)
    ]
    async with db.unit_of_work():
        await outbox.queue(*notices, now=now)
    await town.work()
    await town.passes(timedelta(hours=31))
    assert await calls(town) == (await calls(town))[:before]
    statuses = {row["status"] for row in await db.fetch("SELECT status FROM outbox WHERE key LIKE 'notice-%'")}
    assert not statuses & {"accepted", "sending", "leased", "unknown"}, statuses


async def test_a_member_reads_takes_and_deletes_their_data(town: Town) -> None:
    lin = await town.person(phone=f"+86{PHONE}")
    await lin.follows()
    await lin.joins(PHONE)
    await lin.says("签到")
    mini = await lin.mini()
    ok(await mini.send("PATCH", "/v1/me/profile", {"name": "欧阳娜娜"}))
    held = (await mini.get("/v1/me/data")).body.decode()
    assert "欧阳娜娜" in held
    assert PHONE in held
    assert await lin.says("导出我的数据")
    await lin.says("注销")
    goodbye = await lin.presses("确认注销")
    assert goodbye
    await town.work()
    assert (await mini.get("/v1/me")).status == 401
    assert await db.fetch_value("SELECT count(*) FROM member WHERE status = 'closed'") == 1
    for table in ("member", "channel_identity", "consent", "audit_entry", "inbox", "outbox", "event", "dialogue"):
        dump = str([dict(row) for row in await db.fetch(f"SELECT * FROM {table}")])
        assert PHONE not in dump, table
        assert "欧阳" not in dump, table
    # Whoever writes again is somebody new, with nothing.
    await lin.says("你好")
    await town.work()
    me = await lin.me()
    assert (me["points"], me["is_registered"], me["phone"]) == (0, False, None)
