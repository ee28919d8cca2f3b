"""The product stops in the middle of a conversation and comes back; people do not notice."""

import re
from datetime import timedelta
from pathlib import Path

from tests.conftest import Servers
from tests.scenarios.town import Person, Town, built
from tests.support.storm import assert_sound

PHONE = "13800000021"


async def test_a_dialogue_survives_a_restart(database: None, servers: Servers, tmp_path: Path) -> None:
    async with built(tmp_path, servers.redis_url) as before:
        lin = await before.person(phone=f"+86{PHONE}")
        await lin.follows()
        await lin.says("签到")
        await lin.says("注册")
        await lin.presses("同意，用手机号加入")
        assert "验证码已发往" in await lin.says(PHONE)
    async with built(tmp_path, servers.redis_url) as after:
        lin = Person(after, lin.id)
        await after.work()
        code = re.search(r"\b(\d{6})\b", (await lin.reads("sms"))[-1])
        assert code is not None
        assert "欢迎" in await lin.says(code[1])
        me = await lin.me()
        assert (me["is_registered"], me["phone"], me["points"]) == (True, "138****0021", 5)
        await assert_sound()


async def test_a_dialogue_that_is_left_alone_ends(town: Town) -> None:
    lin = await town.person(phone=f"+86{PHONE}")
    await lin.follows()
    await lin.says("注册")
    await lin.presses("同意，用手机号加入")
    await town.passes(timedelta(hours=25))
    assert "验证码已发往" not in await lin.says(PHONE)
    assert not (await lin.me())["is_registered"]


async def test_a_closed_button_of_yesterday_does_nothing_twice(town: Town) -> None:
    lin = await town.person()
    await lin.follows()
    await town.offers(name={"zh-CN": "一次券", "en": "Once"}, stock=5)
    await lin.says("领券")
    assert "一次券" in await lin.presses("领取")
    await town.passes(timedelta(days=2))
    line = next(
        line for line in reversed(await lin.screen()) if any("领取" in button["text"] for button in line["buttons"])
    )
    button = next(button for button in line["buttons"] if "领取" in button["text"])
    again = await lin.answer_to("wechat_oa/tap", line=line["id"], button=button["id"])
    assert again
    mini = await lin.mini()
    await town.work()
    assert len((await mini.get("/v1/me/coupons")).json["items"]) == 1
