"""Drawing in the chat, and a clerk who hands the prize over."""

import re

import pytest

from handlers.messages import Click
from loyalty import clock, db
from loyalty.access import Role
from loyalty.draws import publishing
from loyalty.draws.rules import NewDraw
from tests.handlers.talk import Clerk, Person, keys
from tests.loyalty import shop
from tests.loyalty.draws.fair import document, nothing, prize

pytestmark = pytest.mark.usefixtures("database")


async def open_draw(*prizes: object, **more: object) -> None:
    now = clock.now()
    times = {"starts_at": now.isoformat(), "ends_at": now.replace(year=now.year + 1).isoformat()}
    async with db.unit_of_work():
        draft = await publishing.draft(
            NewDraw.model_validate(document(*prizes) | times | more), principal=shop.ADMIN, now=now
        )
        await publishing.publish(draft.code, draft.fingerprint, principal=shop.ADMIN, now=now)


async def test_without_a_draw_there_is_something_else_to_do() -> None:
    person = Person()
    assert "现在没有抽奖" in await person.says("抽奖")
    assert "还没有中过奖" in await person.says("我的奖品")


async def test_odds_draw_receipt_prize_and_handing_over() -> None:
    await open_draw(prize("none", 1, name={"zh-CN": "马克杯", "en": "mug"}), prize("rare", 3, stock=1))
    await db.execute("UPDATE draw_stock SET won = stock")  # only the mug is left
    person = Person()
    said = await person.says("我要抽奖")
    assert "马克杯：25.00%" in said
    assert "rare：75.00%，剩 0 份" in said
    won = await person.presses_shown("抽一次")
    assert "抽中了「马克杯」" in won
    code = re.search(r"领奖码：(\S+)，", won)
    assert code is not None
    assert code[1] in await person.says("我的奖品")
    assert "今天的机会用完了" in await person.presses("draw:fair")

    store_id = await shop.store(now=clock.now())
    principal = await shop.employee(Role.CLERK, store_id)
    clerk = Clerk(await db.fetch_value("SELECT user_id FROM staff WHERE id = $1", principal.staff_id))
    assert "领奖码" in await clerk.says("发奖")
    assert "请把「马克杯」交给顾客" in await clerk.says(f"发奖 {code[1]}")
    assert "发放过" in await clerk.says(f"发奖 {code[1]}")
    assert "已领取" in await person.says("我的奖品")


async def test_a_repeated_press_is_one_draw() -> None:
    await open_draw(nothing(1), chances={"free_per_day": 5})
    person = Person()
    await person.says("抽奖")
    first = await person.does(Click("draw:fair"), key="same")
    assert (await person.does(Click("draw:fair"), key="same")).reply == first.reply
    assert await db.fetch_value("SELECT count(*) FROM draw_record") == 1


async def test_english() -> None:
    await open_draw(nothing(1))
    person = Person("telegram", locale="en")
    assert "100.00%" in await person.says("lucky draw")
    assert "No prize this time" in await person.presses_shown("Draw:")
    assert keys(person.reply) == ["draw:fair", "wins"]


@pytest.mark.parametrize("code", ["", "none", "../x", "fair'--"])
async def test_a_button_that_is_none_of_ours(code: str) -> None:
    assert "没有找到这个抽奖" in await Person().presses(f"draw:{code}")
