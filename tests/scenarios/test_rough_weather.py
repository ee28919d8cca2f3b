"""Platforms on a bad day: repeats, lost answers, revoked tokens, refusals. People still hear everything once."""

from datetime import timedelta
from typing import Any

import pytest

from loyalty import clock, db
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Notice
from tests.scenarios.town import Person, Town
from tests.support.storm import counted


async def fault(town: Town, kind: str, *, api: str, platform: str = "wechat", **more: Any) -> None:
    await town.control("POST", "faults", {"platform": platform, "api": api, "kind": kind, **more})


async def told(person: Person, key: str = "news") -> tuple[str, int]:
    """How a notice to the person ended, and how often they see it."""
    now = clock.now()
    notice = Notice(
        key=key,
        notice="account_linked",
        send_class="service_notice",
        purpose=outbox.TRANSACTION,
        member_id=await person.member_id(),
        due_at=now,
        give_up_at=now + timedelta(hours=12),
    )
    async with db.unit_of_work():
        await outbox.queue(notice, now=now)
    await person.town.work()
    status = await db.fetch_value("SELECT status FROM outbox WHERE key = $1", key)
    return str(status), sum("连接了一个新的渠道" in text for text in await person.reads())


@pytest.mark.parametrize(
    ("kind", "more"), [("duplicate", {"value": 6}), ("drop_answer", {"times": 2}), ("reset", {"times": 2})]
)
async def test_a_check_in_that_arrives_often_counts_once(town: Town, kind: str, more: dict[str, Any]) -> None:
    lin = await town.person()
    await lin.follows()
    await fault(town, kind, api="callback", **more)
    said = await lin.says("签到")
    await town.control("DELETE", "faults")
    await town.control("POST", "settle", {})
    assert "签到成功" in said
    assert await counted("check_in") == 1
    assert "当前有 5 积分" in await lin.says("积分")


async def test_messages_out_of_order_do_no_harm(town: Town) -> None:
    lin = await town.person()
    await lin.follows()
    await fault(town, "reorder", api="callback", times=1)
    await town.control("POST", f"people/{lin.id}/act/wechat_oa/say?wait=0", {"text": "签到"})
    await lin.act("wechat_oa/say", text="积分")
    await town.control("POST", "settle", {})
    assert await counted("check_in") == 1


@pytest.mark.parametrize(
    ("kind", "more", "platform"),
    [
        ("token_revoked", {"times": 1}, "wechat"),
        ("errcode", {"value": 40001, "times": 1}, "wechat"),
        ("errcode", {"value": -1, "times": 2}, "wechat"),
        ("slow", {"value": 800, "times": 1}, "wechat"),
    ],
)
async def test_a_notice_gets_through_what_passes(town: Town, kind: str, more: dict[str, Any], platform: str) -> None:
    lin = await town.person()
    await lin.follows()
    await lin.says("帮助")
    await town.work()
    await lin.reads()
    await fault(town, kind, api="/cgi-bin/message/custom/send", platform=platform, **more)
    status, seen = await told(lin)
    for _ in range(6):
        if status != "accepted":
            await town.passes(timedelta(minutes=15))
            status = await db.fetch_value("SELECT status FROM outbox WHERE key = 'news'")
            seen += sum("连接了一个新的渠道" in text for text in await lin.reads())
    assert (status, seen) == ("accepted", 1)


async def test_an_answer_that_got_lost_is_not_sent_again(town: Town) -> None:
    lin = await town.person()
    await lin.follows()
    await lin.says("帮助")
    await town.work()
    await lin.reads()
    await fault(town, "drop_answer", api="/cgi-bin/message/custom/send", times=1)
    status, seen = await told(lin)
    assert (status, seen) == ("unknown", 1)
    await town.passes(timedelta(hours=2))
    assert not any("连接了一个新的渠道" in text for text in await lin.reads())


async def test_telegram_asks_for_patience_and_gets_it(town: Town) -> None:
    ann = await town.person("Ann")
    await ann.answer_to("telegram/start")
    await ann.reads()
    await fault(town, "quota", api="sendMessage", platform="telegram", times=1)
    status, seen = await told(ann)
    if status != "accepted":
        await town.passes(timedelta(minutes=15))
        status = await db.fetch_value("SELECT status FROM outbox WHERE key = 'news'")
        seen += sum("连接了一个新的渠道" in text for text in await ann.reads())
    assert (status, seen) == ("accepted", 1)
