"""What members hear of earning rules."""

from datetime import timedelta

import pytest

from loyalty import clock, db
from loyalty.earning import publishing
from loyalty.earning.documents import Rule
from tests.handlers.acquaintance import member_of
from tests.handlers.talk import Person
from tests.loyalty import shop
from tests.loyalty.earning.written import DOUBLE, document

pytestmark = pytest.mark.usefixtures("database")


async def published(code: str, name: str) -> None:
    rule = Rule.model_validate(document(code, DOUBLE) | {"name": {"zh-CN": name, "en": "Tea doubles"}})
    since = clock.now() - timedelta(days=1)
    async with db.unit_of_work():
        drafted = await publishing.draft(rule, principal=shop.ADMIN, now=since)
        await publishing.publish(code, drafted.fingerprint, principal=shop.ADMIN, now=since)


async def test_the_rules_in_force_are_named_and_each_movement_tells_of_them() -> None:
    await published("tea", "茶饮双倍")
    person = Person()
    assert "茶饮双倍" in await person.says("积分规则")
    await shop.bought(await member_of(person), 10_000, now=clock.now(), occurred_at=clock.now())
    why = await person.says("为什么")
    assert "消费积分 +100" in why
    assert "茶饮双倍 +100（2 倍，叠加）" in why
