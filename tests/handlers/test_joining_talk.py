"""Joining, with a phone and without, through the router and the real database."""

from datetime import timedelta

import pytest

from handlers.messages import Ask, SharedContact, Unhandled
from loyalty import db
from loyalty.consents import queries as consents
from tests.handlers.acquaintance import joins, member_of, sent_code
from tests.handlers.talk import Person, keys, later

pytestmark = pytest.mark.usefixtures("database")


async def test_joining_with_a_code_by_sms_survives_a_new_process() -> None:
    person = Person()
    assert "随时可以发送「注销」退出" in await person.says("怎么注册会员")
    assert keys(person.reply) == ["agree", "agree_plain", "cancel"]
    assert "手机号" in await person.presses_shown("同意，用手机号")
    assert "验证码已发往 138****8000" in await person.says("１３８ ００１３ ８０００")
    dialogue = await db.fetch_value("SELECT data FROM dialogue")
    assert "13800138000" not in dialogue
    restarted = Person(name=person.sender.external_id)
    wrong = await restarted.says("000000" if await sent_code(person) != "000000" else "000001")
    assert "欢迎" not in wrong
    said = await restarted.says(await sent_code(person))
    assert "欢迎成为小惠会员" in said
    row = await db.fetch_one("SELECT status, phone_masked FROM member")
    assert row is not None
    assert (row["status"], row["phone_masked"]) == ("active", "138****8000")
    evidence = await db.fetch_value("SELECT evidence FROM consent WHERE purpose = 'account'")
    assert evidence.startswith("inbox:wechat_oa:")
    assert await db.fetch_value("SELECT count(*) FROM dialogue") == 0
    assert "已经是会员" in await restarted.says("注册")


async def test_joining_without_a_phone_and_the_question_about_marketing() -> None:
    person = Person()
    await person.says("入会")
    assert "愿意收到优惠活动消息吗" in await person.presses("agree_plain")
    await person.presses_shown("^愿意")
    member_id = await member_of(person)
    assert await consents.answer_for([member_id], "marketing_wechat") == {member_id}


async def test_words_of_agreement_without_terms_agree_to_nothing() -> None:
    person = Person()
    assert "请先看这几条" in await person.says("同意")
    assert await db.fetch_value("SELECT status FROM member") == "guest"
    assert await db.fetch_value("SELECT count(*) FROM consent") == 0


async def test_telegram_shares_the_number_with_one_press() -> None:
    person = Person("telegram", locale="zh-hans")
    await person.says("/join")
    await person.presses("agree")
    assert person.reply.ask is Ask.SHARE_CONTACT
    assert [button.key for button in person.reply.buttons] == [""]
    await person.does(SharedContact("8613800138000"))
    assert "欢迎成为" in person.reply.text
    assert await db.fetch_value("SELECT phone_masked FROM member") == "138****8000"


async def test_a_number_shared_unasked_still_takes_an_agreement() -> None:
    person = Person("telegram", locale="en")
    await person.does(SharedContact("+8613800138000"))
    assert "Before you join" in person.reply.text
    assert await db.fetch_value("SELECT status FROM member") == "guest"
    assert "Welcome to Xiaohui" in await person.presses("agree")
    assert await db.fetch_value("SELECT phone_masked FROM member") == "138****8000"


async def test_somebody_elses_contact_is_not_taken() -> None:
    person = Person("telegram", locale="en")
    await person.does(Unhandled("message", recognised=True, fields={"parts": "contact_of_another"}))
    assert "your own number" in person.reply.text


async def test_a_taken_number_offers_both_ways_out() -> None:
    first, second = Person(), Person()
    await joins(first, "13800138000")
    later(timedelta(minutes=2))
    assert "已经属于另一个会员账号" in await joins(second, "13800138000")
    assert "没有异议" in await second.presses_shown("申请转移号码")
    claim_id = await db.fetch_value("SELECT id FROM phone_claim")
    assert "仍然是您的" in await first.presses(f"phone_claim:{claim_id}")
    assert await db.fetch_value("SELECT status FROM phone_claim") == "refused"
    assert "仍然是您的" not in await second.presses(f"phone_claim:{claim_id}")


async def test_a_wrong_number_is_refused_and_the_question_stays_open() -> None:
    person = Person()
    await person.says("注册")
    await person.presses("agree")
    refused = await person.says("12345")
    assert "验证码已发往" not in refused
    assert "验证码已发往" in await person.says("13800138000")
    assert "验证码已发往" not in await person.presses_shown("重新发送")


async def test_no_way_to_a_number_leads_around_the_terms() -> None:
    person = Person("telegram", locale="zh-hans")
    assert "请先看这几条" in await person.says("绑定手机")
    await person.does(SharedContact("+8613800138000"))
    assert await db.fetch_value("SELECT status FROM member") == "guest"
    for key in ("bind_phone", "resend_code", "claim_number"):
        stranger = Person("telegram", locale="zh-hans")
        assert "请先看这几条" in await stranger.presses(key)
    assert await db.fetch_value("SELECT count(*) FROM consent") == 0


async def test_a_wrong_code_offers_another_one() -> None:
    person = Person()
    await person.says("注册")
    await person.presses("agree")
    await person.says("13800138000")
    await person.says("0" * 6 if await sent_code(person) != "0" * 6 else "1" * 6)
    assert "resend_code" in keys(person.reply)


async def test_an_old_button_of_agreement_changes_nothing_for_a_member() -> None:
    person = Person()
    await joins(person, "13800138000")
    assert "已经是会员" in await person.presses("agree_plain")
    assert await db.fetch_value("SELECT phone_masked FROM member") == "138****8000"
