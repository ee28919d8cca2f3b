"""A conversation of several steps survives a restart and times out."""

from datetime import timedelta

import pytest

from loyalty import db
from loyalty.dialogues import service as dialogues
from loyalty.dialogues.service import Dialogue
from tests.loyalty.people import NOW, contact, meet

pytestmark = pytest.mark.usefixtures("database")
SOON = NOW + timedelta(minutes=10)


async def test_it_is_kept_replaced_and_ended() -> None:
    key = dialogues.key_of(7)
    await dialogues.set(key, Dialogue("register", "phone", {}, SOON))
    await dialogues.set(key, Dialogue("register", "name", {"member": 3}, SOON))
    found = await dialogues.get(key, now=NOW)
    assert found == Dialogue("register", "name", {"member": 3}, SOON)
    await dialogues.clear(key)
    assert await dialogues.get(key, now=NOW) is None


async def test_it_times_out_and_is_swept() -> None:
    key = dialogues.key_of_staff(7)
    await dialogues.set(key, Dialogue("purchase", "amount", {}, SOON))
    assert await dialogues.get(key, now=SOON) is None
    assert await dialogues.forget_expired(now=SOON, batch_max=10) == 1


async def test_the_sender_comes_with_whether_they_are_in_one() -> None:
    who = contact()
    person = await meet(who)
    assert not person.in_dialogue
    await dialogues.set(dialogues.key_of(person.identity_id), Dialogue("register", "phone", {}, SOON))
    assert (await meet(who)).in_dialogue
    assert not (await meet(who, now=SOON)).in_dialogue
    assert await db.fetch_value("SELECT count(*) FROM dialogue") == 1
