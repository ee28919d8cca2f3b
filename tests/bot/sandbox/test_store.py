"""The world survives a restart."""

import json
from pathlib import Path
from typing import Any

from bot.sandbox.store import Store
from bot.sandbox.world import World


async def test_a_restart_keeps_the_world(open_town: Any, state_folder: Path) -> None:
    town = await open_town(state_folder=state_folder)
    await town.control("POST", "/people", 201, id="he", name="小何")
    await town.act("he", "wechat_oa/follow", scene="s1")
    await town.act("he", "wechat_oa/subscribe", template_ids=["tier"])
    await town.act("he", "telegram/start")
    await town.act("zhang", "wecom/add_customer", person="he")
    await town.wechat("/cgi-bin/tags/create", {"tag": {"name": "gold"}})
    await town.control("POST", "/clock", advance_s=30)
    await town.wechat("/cgi-bin/getcallbackip")
    screen = await town.control("GET", "/people/he/screen")
    await town.restart()
    again = await town.control("GET", "/people/he/screen")
    for view in (screen, again):
        view["channels"]["wechat_oa"]["main"]["window"].pop("expires_in_s")
    assert again == screen
    assert (await town.control("GET", "/state"))["offset_s"] == 30
    assert "ip_list" in await town.wechat("/cgi-bin/getcallbackip")
    info = await town.wechat("/cgi-bin/user/info", openid=await town.openid("he"))
    assert (info["subscribe"], info["qr_scene_str"]) == (1, "s1")
    number = (await town.person("he"))["telegram"]["id"]
    assert (await town.telegram("sendMessage", chat_id=number, text="hi"))["ok"]


async def test_message_numbers_go_on_after_a_restart(open_town: Any, state_folder: Path) -> None:
    town = await open_town(state_folder=state_folder)
    await town.act("lin", "wechat_oa/follow")
    await town.act("lin", "wechat_oa/say", text="1")
    await town.restart()
    await town.act("lin", "wechat_oa/say", text="2")
    first, second = [inbound.message["MsgId"] for inbound in town.product.inbound if "MsgId" in inbound.message]
    assert int(second) == int(first) + 1


def test_an_unreadable_snapshot_is_put_aside(state_folder: Path) -> None:
    state_folder.mkdir()
    (state_folder / "world.json").write_text('{"people": 7}')
    assert Store(state_folder).load() == World()
    assert (state_folder / "world.json.unreadable").read_text() == '{"people": 7}'


async def test_nothing_is_written_when_nothing_changed(state_folder: Path) -> None:
    store, world = Store(state_folder), World()
    await store.save(world)
    before = (state_folder / "world.json").stat().st_mtime_ns
    await store.save(world)
    assert (state_folder / "world.json").stat().st_mtime_ns == before
    world.clock_offset_s = 5
    await store.save(world)
    assert json.loads((state_folder / "world.json").read_text())["clock_offset_s"] == 5
