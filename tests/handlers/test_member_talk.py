"""Members' conversations, through the router and the real database."""

import re
from datetime import timedelta

import pytest

from handlers import routes
from handlers.messages import (
    ChannelName,
    EnterChat,
    Follow,
    Media,
    Scan,
    SubscribeChoice,
    SubscribeGrants,
    Text,
    Unfollow,
)
from loyalty import clock, db
from loyalty.consents import queries as consents
from loyalty.coupon_templates.rules import AmountOff, PercentOff
from loyalty.members import service as members
from tests.handlers.acquaintance import joins, member_of
from tests.handlers.talk import Person, keys, later
from tests.loyalty import shop
from tests.loyalty.people import give_points

pytestmark = pytest.mark.usefixtures("database")


async def test_following_greets_and_says_who_is_new() -> None:
    person = Person()
    assert "欢迎来到小惠" in await person.follows("store:s1")
    assert "join" in keys(person.reply)
    assert "欢迎回来" in await person.follows()
    state = await db.fetch_one("SELECT state, scene FROM channel_identity")
    assert state is not None
    assert (state["state"], state["scene"]) == ("followed", "store:s1")


async def test_english_speakers_are_answered_in_english() -> None:
    person = Person("telegram", locale="en-GB")
    assert "Welcome to Xiaohui" in await person.follows()
    assert "Checked in" in await person.says("/checkin")
    assert "You have 5 points" in await person.says("how many points do I have?")
    assert "already checked in" in await person.says("check in")


async def test_checking_in_once_a_day() -> None:
    person = Person()
    assert "签到成功 ✅ 积分 +5" in await person.says("我要签到")
    assert "已经签到过" in await person.says("打卡")
    later(timedelta(days=1))
    assert "已连续签到 2 天" in await person.says("簽到")


async def test_a_repeated_delivery_hears_the_first_answer_again() -> None:
    person = Person()
    first = await person.does(Follow(), key="same")
    again = await person.does(Follow(), key="same")
    assert (first.reply, first.repeated, again.repeated) == (again.reply, False, True)


async def test_points_are_told_and_each_movement_explained() -> None:
    person = Person()
    await person.says("签到")
    await shop.bought(await member_of(person), 12_345, now=clock.now())
    said = await person.says("我还有多少分")
    assert "您当前有 128 积分" in said
    assert "1. " in said
    why = await person.presses_shown("第 1 笔")
    assert "实付 ¥123.45，每 1 元 1 分" in why
    assert "单号：o" in why
    assert "123 分可用至" in why
    await person.says("积分")
    assert "连续签到第 1 天" in await person.presses_shown("第 2 笔")
    assert "实付 ¥123.45" in await person.says("为什么")
    assert "还没有积分变动" in await Person().says("为什么")


async def test_a_movement_of_somebody_else_is_not_found() -> None:
    one, other = Person(), Person()
    await one.says("签到")
    await other.says("积分")
    entry = await db.fetch_value("SELECT max(id) FROM ledger_entry")
    assert await other.presses(f"points_why:{entry}") == await other.presses("points_why:999999999")
    assert "没有找到" in await other.presses("points_why:x' OR 1=1")


async def test_missing_points_are_looked_into_and_rules_told() -> None:
    person = Person()
    assert "您名下还没有消费记录" in await person.says("积分怎么没到账")
    await shop.bought(await member_of(person), 5_000, now=clock.now())
    assert "¥50.00，积分 +50" in await person.says("我的积分怎么还没到啊？")
    assert "12 个月内有效" in await person.says("积分什么时候过期")


async def test_points_that_end_soon_are_told_with_their_last_day() -> None:
    person = Person()
    await person.says("签到")
    ends = clock.now() + timedelta(days=10)
    await give_points(await member_of(person), 30, expires_at=ends, now=clock.now())
    assert "其中 30 分将于" in await person.says("积分")


async def test_coupons_are_claimed_shown_and_limited() -> None:
    await shop.template(now=clock.now(), min_spend_fen=3000)
    await shop.template(
        now=clock.now(), worth=PercentOff(percent_off=12, cap_fen=2000), name={"zh-CN": "88折", "en": "12% off"}
    )
    person = Person()
    said = await person.says("有什么活动")
    assert "立减 ¥10.00，满 ¥30.00 可用" in said
    assert "8.8 折（最多减 ¥20.00）" in said
    assert "领取成功" in await person.presses_shown("领取第 1 张")
    code = await person.presses_shown("出示券码")
    assert re.search(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]", code)
    assert "所有门店通用" in code
    assert "您已领过" in await person.says("领券")
    assert "1. 十元券" in await person.says("优惠券在哪")
    assert "怎么用" in await person.says("优惠券怎么用")


async def test_a_press_out_of_season_is_refused_with_words() -> None:
    person = Person()
    assert await person.presses("claim:999999")
    assert await person.presses("claim:abc") == await person.presses("claim:999999")
    assert await person.presses("coupon:1")


async def test_somebody_elses_coupon_is_not_shown() -> None:
    await shop.template(now=clock.now())
    one, other = Person(), Person()
    await one.says("领券")
    await one.presses_shown("领取")
    shown = one.reply.buttons[0].key
    assert "没有找到" in await other.presses(shown)


async def test_tier_shows_what_is_missing_and_rises_with_purchases() -> None:
    person = Person()
    said = await person.says("我是什么等级")
    assert "普通会员" in said
    assert "再得 500 成长值，就是银卡会员" in said
    await shop.bought(await member_of(person), 60_000, now=clock.now())
    said = await person.says("等级")
    assert "您现在是银卡会员" in said
    assert "1.1 倍" in said


async def test_purchases_and_member_code() -> None:
    person = Person()
    assert "还没有消费记录" in await person.says("最近消费")
    await shop.bought(await member_of(person), 880, now=clock.now())
    assert "¥8.80" in await person.says("我的订单")
    shown = re.sub(r"\s", "", await person.says("会员码"))
    assert re.search(r"\d{18}", shown)


async def test_name_and_birthday_take_free_words_but_not_commands() -> None:
    person = Person()
    await person.says("我的资料")
    await person.presses_shown("填写称呼")
    assert "您当前有" in await person.says("积分")
    assert "欧**" in await person.says("欧阳签到·买买提")
    await person.presses_shown("填写生日")
    assert "已保存" not in await person.says("明天")
    assert "生日：已填写" in await person.says("1990年8月15日")
    await person.presses("set_birthday")
    assert "已保存" not in await person.says("1991-01-01")


async def test_a_dialogue_times_out() -> None:
    person = Person()
    await person.presses("set_name")
    later(timedelta(minutes=11))
    assert "已保存" not in await person.says("张三")
    assert await db.fetch_value("SELECT name_masked FROM member") is None


async def test_cancel_leaves_a_dialogue() -> None:
    person = Person()
    await person.presses("set_name")
    assert "已取消" in await person.says("算了")
    assert "没有进行中" in await person.says("取消")
    assert "已保存" not in await person.says("张三")


async def test_linking_two_channels_brings_the_points_together() -> None:
    chat, bot = Person(), Person("telegram", locale="zh-hans")
    await chat.says("签到")
    await bot.says("签到")
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", await chat.says("绑定其他渠道的账号"))
    assert code is not None
    assert "绑定成功" in await bot.follows(f"link_{code[0]}")
    assert await member_of(chat) == await member_of(bot)
    assert "您当前有 10 积分" in await chat.says("积分")
    assert await db.fetch_value("SELECT count(*) FROM outbox WHERE notice = 'account_linked'") == 1
    scenes = await db.fetch("SELECT scene FROM channel_identity")
    assert all(row["scene"] is None for row in scenes)


async def test_a_wrong_link_code_is_counted_and_locks() -> None:
    person = Person()
    tries = [await person.says(f"绑定 AAAA-AAA{n}") for n in range(6)]
    assert tries[0] == tries[4]
    assert tries[5] != tries[0]


async def test_unsubscribing_stops_all_marketing_at_once() -> None:
    person = Person()
    await person.says("重新订阅")
    member_id = await member_of(person)
    assert await consents.answer_for([member_id], "marketing_wechat") == {member_id}
    assert "立即生效" in await person.says("别再给我发广告了")
    assert await consents.answer_for([member_id], "marketing_wechat") == set()
    assert "微信里的优惠消息：不接收" in await person.says("订阅管理")
    assert "微信里的优惠消息：已同意" in await person.presses_shown("开启微信里")
    assert "不接收" in await person.presses_shown("关闭微信里")
    assert await person.presses("allow:account") == await person.presses("deny:nothing")


async def test_my_data_is_shown_counted_and_erased_in_two_steps() -> None:
    person = Person()
    await joins(person, "13800138000")
    await person.says("签到")
    assert "138****8000" in await person.says("你们有我什么信息")
    assert "签到：1 条" in await person.says("导出我的数据")
    member_id = await member_of(person)
    assert "5 积分和未用的优惠券会全部作废" in await person.says("怎么注销账号")
    assert "作废" in await person.says("好")
    assert "已注销" in await person.says("确认注销")
    row = await db.fetch_one("SELECT status, phone_masked FROM member WHERE id = $1", member_id)
    assert row is not None
    assert (row["status"], row["phone_masked"]) == ("closed", None)
    assert "签到成功" in await person.says("签到")
    assert await member_of(person) != member_id


async def test_confirming_without_the_first_step_closes_nothing() -> None:
    person = Person()
    await person.says("签到")
    assert "注销前请想清楚" in await person.presses("close_confirmed")
    later(timedelta(minutes=11))
    assert "注销前请想清楚" in await person.presses("close_confirmed")
    assert await db.fetch_value("SELECT status FROM member") == "guest"


async def test_what_is_not_understood_gets_help_and_the_nearest_topics() -> None:
    person = Person()
    assert "还不会" in await person.says("今天天气真好")
    assert len(person.reply.buttons) == 3
    assert "自动助手" in await person.says("我要投诉")
    assert "自动助手" in await person.says("你们几点关门")
    await person.does(Media("image"))
    assert "看不懂图片" in person.reply.text
    assert "还不会" in await person.presses("no_such_button:1")


async def test_codes_scanned_by_members() -> None:
    await shop.template(now=clock.now(), code="tea88")
    person = Person()
    await person.does(Scan("coupon:tea88"))
    assert "领取成功" in person.reply.text
    await person.does(Follow("coupon_tea88"))
    assert "领取成功" not in person.reply.text
    assert await db.fetch_value("SELECT state FROM channel_identity") == "followed"
    await person.does(Scan("store:s1"))
    assert "欢迎回来" in person.reply.text


async def test_leaving_entering_and_granting_are_silent() -> None:
    person = Person("wechat_mini")
    await person.does(EnterChat())
    assert "欢迎来到" in person.reply.text
    await person.does(EnterChat())
    assert person.reply.is_silent
    await person.does(SubscribeGrants({"t1": SubscribeChoice.ACCEPT, "t2": SubscribeChoice.REJECT}))
    assert person.reply.is_silent
    rows = await db.fetch("SELECT template_id, remaining, refused FROM reach_grant ORDER BY template_id")
    assert [tuple(row.values()) for row in rows] == [("t1", 1, False), ("t2", 0, True)]
    await person.does(Unfollow())
    assert person.reply.is_silent
    assert await db.fetch_value("SELECT state FROM channel_identity") == "left"


async def test_a_store_coupon_names_its_stores_in_english() -> None:
    store_id = await shop.store(now=clock.now())
    await shop.template(now=clock.now(), worth=AmountOff(off_fen=500), store_ids=(store_id,))
    person = Person("telegram", locale="en")
    await person.says("any coupons to claim?")
    await person.presses_shown("Claim number 1")
    assert "Shops: " in await person.presses_shown("Show the code")


async def test_a_full_account_still_fits_every_platform() -> None:
    for number in range(8):
        await shop.template(
            now=clock.now(),
            name={"zh-CN": f"会员专享第 {number} 张特别优惠立减券", "en": f"special coupon {number}"},
            min_spend_fen=123_456,
            per_member_limit=2,
        )
    for person in (Person(), Person("telegram", locale="en")):
        await person.says("签到" if person.sender.channel != "telegram" else "check in")
        for number in range(8):
            await shop.bought(await member_of(person), 100_000 + number, now=clock.now())
        for _ in range(8):
            await person.presses("coupons_claimable")
            await person.presses(person.reply.buttons[0].key)
        for key in (*routes.MEMBER, "coupons_claimable", "coupons"):
            if key not in {"close_confirmed", "agree", "agree_plain", "unsubscribe"}:
                await person.presses(key)


async def test_refusals_speak_the_members_own_language() -> None:
    person = Person("wechat_mini")
    await person.says("你好")
    async with db.unit_of_work():
        await members.set_locale(await member_of(person), "en")
    assert "You have 0 points" in await person.says("积分")
    assert not re.search(r"[\u3400-\u9fff]", await person.presses("claim:999999"))


async def test_codes_and_masks_are_not_kept_readable() -> None:
    await shop.template(now=clock.now())
    person = Person()
    await joins(person, "13800138000")
    await person.says("领券")
    await person.presses_shown("领取")
    code = (await person.presses_shown("出示券码")).split("券码：\n")[1].split("\n")[0]
    await person.says("我的资料")
    kept = " ".join(str(row["answer"]) for row in await db.fetch("SELECT answer FROM inbox"))
    assert code not in kept
    assert "138****8000" not in kept
    first = await person.does(Text("我的券"), key="again")
    again = await person.does(Text("我的券"), key="again")
    assert first.reply == again.reply


@pytest.mark.parametrize("channel", ["wechat_oa", "telegram"])
async def test_a_chosen_language_wins_over_the_platforms_guess(channel: ChannelName) -> None:
    person = Person(channel, locale="zh-hans" if channel == "telegram" else None)
    await person.says("签到")
    assert "in English" in await person.says("English")
    assert "You have 5 points" in await person.says("积分")
    assert "以后用中文" in await person.says("中文")
    assert "您当前有 5 积分" in await person.says("points")
