"""Clerks and managers in WeCom, through the router and the real database."""

import re
from datetime import timedelta

import pytest

from handlers.messages import EnterChat, Follow, Scan, Text
from loyalty import clock, db
from loyalty.access import Role, StaffPrincipal
from loyalty.coupons.rules import code_of
from loyalty.members import service as members
from loyalty.members.service import VerifiedPhone
from tests.handlers.talk import Clerk, Person, at, at_once, keys, later, words
from tests.loyalty import shop

pytestmark = pytest.mark.usefixtures("database")
PHONE = "13800138000"


class Shop:
    """A store with a clerk and a manager, and a member with a phone, a purchase and a coupon."""

    clerk: Clerk
    manager: Clerk
    store_id: int
    member_id: int
    person: Person

    async def opened(self) -> "Shop":
        now = clock.now()
        self.store_id = await shop.store(now=now)
        self.clerk = await self.hired(Role.CLERK)
        self.manager = await self.hired(Role.MANAGER)
        self.person = Person()
        await self.person.says("你好")
        self.member_id = await db.fetch_value("SELECT id FROM member")
        async with db.unit_of_work():
            proven = VerifiedPhone("+8613800138000", "sms")
            await members.register(self.member_id, phone=proven, name="王小明", channel="wechat_oa", now=now)
        return self

    async def hired(self, role: Role, *, member_id: int | None = None, store_id: int | None = None) -> Clerk:
        principal: StaffPrincipal = await shop.employee(role, store_id or self.store_id, member_id=member_id)
        return Clerk(await db.fetch_value("SELECT user_id FROM staff WHERE id = $1", principal.staff_id))

    async def coupon(self) -> int:
        await shop.template(now=clock.now())
        await self.person.says("领券")
        await self.person.presses_shown("领取")
        found: int = await db.fetch_value("SELECT max(id) FROM coupon")
        return found


@pytest.fixture
async def open_shop() -> Shop:
    return await Shop().opened()


async def shown_code(person: Person) -> str:
    shown = await person.says("会员码")
    if wait := re.search(r"(\d+) 秒后生效", shown):
        later(timedelta(seconds=int(wait[1])))
    return re.sub(r"\D", "", shown.split("：")[1].split("请")[0])


async def audited() -> list[tuple[str, str]]:
    return [
        (row["action"], row["outcome"]) for row in await db.fetch("SELECT action, outcome FROM audit_entry ORDER BY id")
    ]


async def test_strangers_of_the_corp_are_told_whom_to_ask() -> None:
    assert "还没有开通" in await Clerk("nobody").says("查 13800138000")


@pytest.mark.parametrize(
    "typed", ["查 13800138000", "13800138000", "查会员１３８ ００１３ ８０００", "find +86 138 0013 8000"]
)
async def test_finding_by_phone_shows_a_masked_card(open_shop: Shop, typed: str) -> None:
    await shop.bought(open_shop.member_id, 8_800, now=clock.now())
    await open_shop.coupon()
    said = await open_shop.clerk.says(typed)
    assert "姓名：王** 138****8000" in said
    assert "等级：普通会员" in said
    assert "近三月：1 单 ¥88.00" in said
    assert "可用券：1 张" in said
    assert PHONE not in said
    assert [key.split(":")[0] for key in keys(open_shop.clerk.reply)] == ["purchase", "grant", "take", "done"]
    assert ("member.find", "done") in await audited()


async def test_finding_by_number_and_by_the_code_on_the_screen_once(open_shop: Shop) -> None:
    number = await db.fetch_value("SELECT number FROM member")
    assert "王**" in await open_shop.clerk.says(number)
    code = await shown_code(open_shop.person)
    assert "王**" in await open_shop.clerk.says(code)
    assert "王**" not in await open_shop.clerk.says(code)
    later(timedelta(seconds=31))
    await open_shop.clerk.does(Scan(await shown_code(open_shop.person)))
    assert open_shop.clerk.reply.card is not None


async def test_guided_finding(open_shop: Shop) -> None:
    assert "请发送会员的手机号" in await open_shop.clerk.says("查会员")
    assert "王**" in await open_shop.clerk.says("138-0013-8000")


async def test_an_unknown_number_is_refused_with_words_and_on_record(open_shop: Shop) -> None:
    said = await open_shop.clerk.says("查 13900139000")
    assert said
    assert "王**" not in said
    assert ("chat.find", "refused") in await audited()


async def test_registering_in_one_line_and_step_by_step(open_shop: Shop) -> None:
    assert "登记成功" in await open_shop.clerk.says("注册 13900139000 欧阳娜娜")
    assert "欧**" in await open_shop.clerk.says("13900139000")
    assert "请发送新会员的手机号" in await open_shop.clerk.says("登记")
    assert "登记成功" in await open_shop.clerk.says("13700137000 李四")
    taken = await open_shop.clerk.says("注册 13900139000")
    assert "登记成功" not in taken
    assert ("chat.register", "refused") in await audited()


async def test_a_purchase_in_one_line_once(open_shop: Shop) -> None:
    assert "请先查到会员" in await open_shop.clerk.says("消费 88.5")
    await open_shop.clerk.says(PHONE)
    assert "¥88.50，单号 A1024，积分 +88" in await open_shop.clerk.says("消费 88.5 A1024")
    assert "没有重复记" in await open_shop.clerk.says("消费 88.5 A1024")
    assert "积分 +" not in await open_shop.clerk.says("消费 99 A1024")
    assert await db.fetch_value("SELECT count(*) FROM purchase") == 1
    assert ("purchase.record", "done") in await audited()


async def test_a_purchase_step_by_step_and_a_repeated_delivery(open_shop: Shop) -> None:
    await open_shop.clerk.says(PHONE)
    assert "请发送实付金额" in await open_shop.clerk.presses("purchase")
    assert "没看懂金额" in await open_shop.clerk.says("很多钱")
    first = await open_shop.clerk.does(Text("９９"), key="k-99")
    again = await open_shop.clerk.does(Text("９９"), key="k-99")
    assert "¥99.00" in first.reply.text
    assert again.reply == first.reply
    assert await db.fetch_value("SELECT count(*) FROM purchase") == 1


async def test_redeeming_by_code_by_button_and_by_scan(open_shop: Shop) -> None:
    coupon_id = await open_shop.coupon()
    code = code_of(coupon_id)
    assert "核销成功" in await open_shop.clerk.says(f"核销 {code}")
    assert "核销成功" not in await open_shop.clerk.says(code.lower())
    second, third = await open_shop.coupon(), await open_shop.coupon()
    await open_shop.clerk.says(PHONE)
    assert "核销成功" in await open_shop.clerk.presses(f"take:{second}")
    await open_shop.clerk.does(Scan(code_of(third)))
    assert "核销成功" in open_shop.clerk.reply.text
    assert ("coupon.redeem", "done") in await audited()
    assert ("chat.redeem", "refused") in await audited()


async def test_a_button_serves_only_the_member_in_front(open_shop: Shop) -> None:
    coupon_id = await open_shop.coupon()
    assert "请先查到会员" in await open_shop.clerk.presses(f"take:{coupon_id}")
    await open_shop.clerk.says("注册 13900139000")
    assert "核销成功" not in await open_shop.clerk.presses(f"take:{coupon_id}")


async def test_the_member_in_front_is_forgotten_after_ten_minutes_or_at_once(open_shop: Shop) -> None:
    await open_shop.clerk.says(PHONE)
    assert "下一位" in await open_shop.clerk.says("下一位")
    assert "请先查到会员" in await open_shop.clerk.says("消费 10")
    await open_shop.clerk.says(PHONE)
    later(timedelta(minutes=11))
    assert "请先查到会员" in await open_shop.clerk.says("送 10 补偿")


async def test_points_within_the_limit_at_once_above_it_by_approval(open_shop: Shop) -> None:
    await open_shop.clerk.says(PHONE)
    assert "积分 +50，会员现有 50 分" in await open_shop.clerk.says("送 50 补偿")
    assert "没有重复" in await open_shop.clerk.says("送50 补偿")
    assert "已提交审批：300 积分" in await open_shop.clerk.says("送300 漏记\n[同意](approve:x)")
    card = await open_shop.manager.says("审批")
    assert "积分：300" in card
    assert "原因：漏记 [同意](approve:x)" in card
    assert [key.split(":")[0] for key in keys(open_shop.manager.reply)] == ["approve", "refuse"]
    approve = open_shop.manager.reply.buttons[0].key
    assert "已同意 300 积分" in await open_shop.manager.presses(approve)
    assert "已同意" not in await open_shop.manager.presses(approve)
    assert "您当前有 350 积分" in await open_shop.person.says("积分")
    assert "门店人工赠送，已由另一位负责人审批" in await open_shop.person.presses_shown("第 1 笔")
    assert "没有等您审批" in await open_shop.manager.says("审批")


async def test_the_asker_does_not_decide_and_clerks_do_not_approve(open_shop: Shop) -> None:
    await open_shop.manager.says(PHONE)
    await open_shop.manager.says("送 2000 大客户")
    approval = await db.fetch_value("SELECT public_id FROM approval")
    assert "已同意" not in await open_shop.manager.presses(f"approve:{approval}")
    assert "已同意" not in await open_shop.clerk.presses(f"approve:{approval}")
    assert ("chat.approve", "refused") in await audited()
    assert await db.fetch_value("SELECT status FROM approval") == "pending"


async def test_two_managers_press_at_once(open_shop: Shop) -> None:
    other = await open_shop.hired(Role.MANAGER)
    await open_shop.clerk.says(PHONE)
    await open_shop.clerk.says("送 300 补偿")
    approval = await db.fetch_value("SELECT public_id FROM approval")
    said = await at_once(open_shop.manager.presses(f"approve:{approval}"), other.presses(f"refuse:{approval}"))
    assert sum("已同意" in words or "已拒绝" in words for words in said) == 1


async def test_nobody_serves_their_own_membership(open_shop: Shop) -> None:
    insider = await open_shop.hired(Role.CLERK, member_id=open_shop.member_id)
    await insider.says(PHONE)
    assert "已发放" not in await insider.says("送 50 自己")
    assert "已记" not in await insider.says("消费 100")
    assert ("chat.grant", "refused") in await audited()


async def test_other_roles_are_refused_before_they_type_half_of_it(open_shop: Shop) -> None:
    marketer = await open_shop.hired(Role.MARKETER)
    assert "请发送会员" not in await marketer.says("查会员")
    assert "今日" not in await open_shop.clerk.says("今日")
    assert "今日" in await open_shop.manager.says("今日")


async def test_only_a_manager_undoes_a_redemption(open_shop: Shop) -> None:
    code = code_of(await open_shop.coupon())
    await open_shop.clerk.says(f"核销 {code}")
    assert "已撤销" not in await open_shop.clerk.says(f"撤销核销 {code} 点错了")
    assert "请发送：撤销核销" in await open_shop.manager.says(f"撤销核销 {code}")
    assert "已撤销核销" in await open_shop.manager.says(f"撤销核销 {code} 点错了")
    assert "核销成功" in await open_shop.clerk.says(f"核销 {code}")


async def test_help_silence_and_what_is_not_understood(open_shop: Shop) -> None:
    await open_shop.clerk.does(Follow())
    assert "店员口令" in open_shop.clerk.reply.text
    assert "审批" not in open_shop.clerk.reply.text.split("先查到")[0].split("超出")[0]
    await open_shop.clerk.does(EnterChat())
    assert open_shop.clerk.reply.is_silent
    assert "没看懂" in await open_shop.clerk.says("送货什么时候到")
    assert "没看懂" in await open_shop.clerk.presses("claim:1")
    await open_shop.clerk.says(PHONE)
    assert "没看懂" in await open_shop.clerk.says("随便说说")
    assert "已取消" in await open_shop.clerk.says("取消")


async def test_guessed_codes_lock_the_guesser(open_shop: Shop) -> None:
    number = await db.fetch_value("SELECT number FROM member")
    tries = [await open_shop.clerk.says(f"{number}0000000{n}") for n in range(6)]
    assert tries[5] != tries[0]


async def test_the_scan_entry_without_a_camera_asks(open_shop: Shop) -> None:
    assert "请发送会员的手机号" in await open_shop.clerk.presses("scan")
    await open_shop.clerk.does(Scan("https://example.com/poster"))
    assert "王**" not in open_shop.clerk.reply.text


async def test_a_code_that_nobody_could_type_in_time_gives_way_to_the_next(open_shop: Shop) -> None:
    begins = clock.now()
    at(begins + timedelta(seconds=30 - begins.timestamp() % 30 + 25))
    shown = await open_shop.person.says("会员码")
    assert "秒后生效" in shown
    code = re.sub(r"\D", "", shown.split("：")[1].split("请")[0])
    assert "王**" not in await open_shop.clerk.says(code)
    later(timedelta(seconds=10))
    assert "王**" in await open_shop.clerk.says(code)


async def test_who_joins_at_the_counter_brings_the_account_to_a_chat_of_their_own(open_shop: Shop) -> None:
    said = await open_shop.clerk.says("注册 13900139000 李四")
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", said)
    assert code is not None
    await open_shop.clerk.says("消费 100")
    person = Person()
    assert "绑定成功" in await person.says(f"绑定 {code[0]}")
    assert "您当前有 100 积分" in await person.says("积分")
    assert "139****9000" in await person.says("我的资料")
    await open_shop.clerk.says("13900139000")
    assert "绑定码" in await open_shop.clerk.says("绑定码")
    assert not re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", words(open_shop.clerk.reply))
    assert ("chat.link_code", "refused") in await audited()


async def test_a_link_code_of_the_counter_can_be_made_again(open_shop: Shop) -> None:
    assert "请先查到会员" in await open_shop.clerk.says("绑定码")
    await open_shop.clerk.says("注册 13900139000")
    assert re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", await open_shop.clerk.says("绑定码"))
