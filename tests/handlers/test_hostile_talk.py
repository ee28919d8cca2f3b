"""Strings that break software, typed, scanned and pressed wherever words are taken: always a reply, never an error."""

import json
import random
from pathlib import Path

import pytest

from handlers.messages import Scan
from tests.handlers.talk import Person
from tests.handlers.test_staff_talk import PHONE, Shop

pytestmark = pytest.mark.usefixtures("database")
TRIED = 40


def naughty(folder: Path) -> list[str]:
    strings = json.loads((folder / "security" / "blns" / "blns.json").read_text(encoding="utf-8"))
    # Channels hand on only what a database can store.
    storable = [text.encode("utf-8", "ignore").decode().replace("\0", "") for text in strings]
    return random.Random(20261121).sample(storable, TRIED)


@pytest.mark.outside
async def test_members_may_type_anything(outside: Path) -> None:
    person = Person("telegram", locale="en")
    for text in naughty(outside):
        for question in ("set_name", "set_birthday", "bind_phone", "link"):
            await person.presses(question)
            await person.says(text)
        for route in ("claim", "coupon", "points_why", "allow", "phone_claim", ""):
            await person.presses(f"{route}:{text[:40]}")
        await person.follows(text[:60])
        await person.does(Scan(text))


@pytest.mark.outside
async def test_clerks_may_type_anything(outside: Path) -> None:
    shop = await Shop().opened()
    for text in naughty(outside):
        await shop.clerk.says(PHONE)
        for command in ("", "送 5 ", "消费 ", "核销 ", "注册 13900139000 ", "撤销核销 "):
            await shop.clerk.says(f"{command}{text}")
        await shop.clerk.does(Scan(text))
        for route in ("take", "approve", "refuse", "find"):
            await shop.clerk.presses(f"{route}:{text[:40]}")
