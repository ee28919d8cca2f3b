"""What happens because time passes: streaks, endings and their reminders, birthdays."""

from datetime import timedelta

from loyalty import clock, db
from loyalty.access import Role
from tests.scenarios.town import ZONE, Town, number_after, ok

DAY = timedelta(days=1)


async def test_a_week_of_check_ins_gives_the_bonus(town: Town) -> None:
    lin = await town.person()
    await lin.follows()
    for day in range(1, 8):
        said = await lin.says("签到")
        assert "签到成功" in said, said
        assert f"连续签到 {day} 天" in said or f"连续 {day} 天" in said, said
        await town.passes(DAY)
    assert (await lin.me())["points"] == 7 * 5 + 20
    await town.passes(DAY)
    assert "连续签到 1 天" in await lin.says("签到")
    assert (await lin.me())["points"] == 7 * 5 + 20 + 5


async def test_points_end_after_their_year_and_the_member_is_told_before(town: Town) -> None:
    lin = await town.person()
    await lin.follows()
    await lin.says("签到")
    await town.sells(await town.till(), lin, 10_000)
    await town.work()
    end = await db.fetch_value("SELECT max(expires_at) FROM ledger_lot WHERE asset = 'points'")
    await town.passes(end - clock.now() - 33 * DAY)
    await lin.says("帮助")
    await lin.reads()
    told: list[tuple[int, str]] = []
    while clock.now() < end:
        told += [((end - clock.now()).days, text) for text in await lin.reads("wechat_oa") if "失效" in text]
        await town.until(9)
        await lin.says("帮助")
    assert [number_after(text, "还剩") for _, text in told] == [30, 7, 1], told
    assert all("105" in text for _, text in told)
    await town.passes(DAY)
    me = await lin.me()
    assert me["points"] == 0
    assert "到期 -100" in await lin.says("积分")
    assert await db.fetch_value("SELECT count(*) FROM ledger_entry WHERE kind = 'expire' AND delta < 0") == 2


async def test_a_coupon_ends_and_the_member_is_told_before(town: Town) -> None:
    lin = await town.person()
    await lin.follows()
    await town.offers(valid_days=9, name={"zh-CN": "春日券", "en": "Spring"})
    await lin.says("领券")
    await lin.presses("领取")
    await lin.reads()
    told: list[str] = []
    for _ in range(10):
        await town.until(9)
        await lin.says("帮助")
        told += [text for text in await lin.reads() if "快到期" in text]
    assert len(told) == 2, told
    assert all("春日券" in text for text in told)
    (coupon,) = ok(await (await lin.mini()).get("/v1/me/coupons"))["items"]
    assert coupon["status"] == "expired"
    assert await db.fetch_value("SELECT status FROM coupon") == "expired"
    zhang = await town.hires(Role.CLERK, await town.store())
    assert "核销成功" not in await zhang.says(f"核销 {coupon['id']}", "wecom")


async def test_a_birthday_is_greeted_once_with_its_gift(town: Town) -> None:
    lin = await town.person(phone="+8613800000001")
    await lin.follows()
    await lin.joins("13800000001")
    birthday = (clock.now().astimezone(ZONE) + 3 * DAY).date().replace(year=1990)
    mini = await lin.mini()
    ok(await mini.send("PATCH", "/v1/me/profile", {"birthday": birthday.isoformat()}))
    greetings: list[str] = []
    for _ in range(6):
        await lin.says("帮助")
        await lin.reads()
        await town.until(11)
        await town.work()
        greetings += [text for text in await lin.reads("wechat_oa") if "生日快乐" in text]
    assert len(greetings) == 1, greetings
    assert "88 积分" in greetings[0]
    assert (await lin.me())["points"] == 88
