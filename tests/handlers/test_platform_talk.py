"""What platforms report about people, through the router and the real database."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from handlers.messages import (
    AuthorisationRevoked,
    Content,
    CustomerAdded,
    CustomerRemoved,
    Inbound,
    Sender,
    SenderKind,
    SendOutcome,
    SendReport,
    StaffChanged,
    Unhandled,
)
from handlers.router import Answer, Router
from loyalty import clock, db
from loyalty.access import Role
from loyalty.members import service as members
from loyalty.members.service import VerifiedPhone
from loyalty.outbox import service as outbox
from tests.handlers.talk import CORP, Clerk, Person
from tests.loyalty import shop

pytestmark = pytest.mark.usefixtures("database")
NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


async def reported(content: Content, about: str, *, channel: str = "wechat_oa", key: str = "p1") -> Answer:
    app_id = {"wechat_oa": "wxoa", "wecom": CORP}[channel]
    sender = Sender(channel, "main", app_id, about, SenderKind.PLATFORM)  # type: ignore[arg-type]
    return await Router().dispatch(Inbound(sender, key, NOW, content))


async def state() -> str:
    found: str = await db.fetch_value("SELECT state FROM channel_identity ORDER BY id DESC LIMIT 1")
    return found


async def test_a_blocked_send_marks_the_person_and_the_message() -> None:
    person = Person()
    await person.follows()
    message = outbox.Notice(
        key="n1",
        notice="tier_raised",
        send_class="service_notice",
        purpose="transaction",
        member_id=1,
        due_at=NOW,
        give_up_at=NOW + timedelta(days=1),
    )
    async with db.unit_of_work():
        await outbox.queue(message, now=NOW)
    await db.execute("UPDATE outbox SET status = 'accepted', account = 'main', platform_message_id = 'm1'")
    report = SendReport("m1", SendOutcome.BLOCKED, detail="failed:user block")
    answer = await reported(report, person.sender.external_id)
    assert answer.reply.is_silent
    assert await state() == "blocked"
    row = await db.fetch_one("SELECT status, code FROM outbox")
    assert row is not None
    assert (row["status"], row["code"]) == ("rejected", "failed:user block")


async def test_a_delivered_send_changes_nothing() -> None:
    person = Person()
    await person.follows()
    await reported(SendReport("m1", SendOutcome.DELIVERED), person.sender.external_id)
    assert await state() == "followed"


async def test_a_withdrawn_number_is_removed_and_a_closed_account_left() -> None:
    person = Person()
    await person.follows()
    async with db.unit_of_work():
        proven = VerifiedPhone("+8613800138000", "wechat")
        await members.register(1, phone=proven, channel="wechat_mini", now=NOW)
    await reported(AuthorisationRevoked(("20",)), person.sender.external_id, key="a")
    assert await db.fetch_value("SELECT phone_masked FROM member") == "138****8000"
    await reported(AuthorisationRevoked(("8", "20")), person.sender.external_id, key="b")
    assert await db.fetch_value("SELECT phone_masked FROM member") is None
    await reported(AuthorisationRevoked(cancelled=True), person.sender.external_id, key="c")
    assert await state() == "left"


async def test_reports_about_strangers_meet_nobody() -> None:
    await reported(AuthorisationRevoked(("8",)), "nobody", key="a")
    await reported(SendReport("m9", SendOutcome.BLOCKED), "nobody", key="b")
    await reported(CustomerRemoved("wang", "wm-nobody", by_customer=True), "wm-nobody", channel="wecom", key="c")
    assert await db.fetch_value("SELECT count(*) FROM member") == 0


async def test_an_added_customer_is_met_and_greeted_without_buttons() -> None:
    added = CustomerAdded("wang", "wm1", state="store:s1", welcome_code="w")
    answer = await reported(added, "wm1", channel="wecom")
    assert "欢迎来到小惠" in answer.reply.text
    assert answer.reply.buttons == ()
    assert await state() == "followed"
    await reported(CustomerRemoved("wang", "wm1", by_customer=False), "wm1", channel="wecom", key="p2")
    assert await state() == "left"


async def test_a_customer_who_comes_with_a_link_code_is_the_member_already_known() -> None:
    person = Person()
    await person.says("签到")
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", await person.says("绑定码"))
    assert code is not None
    answer = await reported(CustomerAdded("wang", "wm1", state=f"link_{code[0]}"), "wm1", channel="wecom")
    assert "已和您的会员账号绑定" in answer.reply.text
    owners = await db.fetch("SELECT DISTINCT member_id FROM channel_identity")
    assert len(owners) == 1
    wrong = await reported(CustomerAdded("wang", "wm2", state="link_AAAA-AAAA"), "wm2", channel="wecom", key="p3")
    assert "绑定码" in wrong.reply.text


async def test_whoever_leaves_the_corp_serves_nobody_any_more() -> None:
    store_id = await shop.store(now=clock.now())
    employee = await shop.employee(Role.CLERK, store_id)
    user_id = await db.fetch_value("SELECT user_id FROM staff WHERE id = $1", employee.staff_id)
    clerk = Clerk(user_id)
    assert "店员口令" in await clerk.says("帮助")
    await reported(StaffChanged(user_id, removed=False), user_id, channel="wecom", key="a")
    assert "店员口令" in await clerk.says("帮助")
    await reported(StaffChanged(user_id, removed=True), user_id, channel="wecom", key="b")
    assert "还没有开通" in await clerk.says("帮助")


async def test_pushes_that_nobody_acts_on_are_kept() -> None:
    answer = await reported(Unhandled("card_pass_check", recognised=True, fields={"CardId": "c1"}), "gh_1")
    assert answer.reply.is_silent
    assert "c1" in await db.fetch_value("SELECT fields_kept FROM inbox")
