"""「储值」 in the chat: the balance, the top-ups, and the statutory refund with its arithmetic."""

import pytest

from loyalty import clock, db
from loyalty.program import queries as program
from loyalty.program import service as publishing
from loyalty.program.terms import StoredValueTerms, Terms, TopUpOffer
from loyalty.stored_value import service as stored
from loyalty.stored_value.service import TopUp, Use
from tests.handlers.acquaintance import member_of
from tests.handlers.talk import Person, keys

pytestmark = pytest.mark.usefixtures("database")


async def keeps_stored_value() -> None:
    offers = (TopUpOffer(paid_fen=100_000, bonus_fen=20_000),)
    terms = Terms(stored_value=StoredValueTerms(enabled=True, offers=offers, permit_above_fen=500_000))
    async with db.unit_of_work():
        await publishing.publish(terms, by="test", effective_from=clock.now(), now=clock.now())
    program.forget()


async def topped_up_and_used(member_id: int) -> None:
    now = clock.now()
    paid = TopUp(member_id=member_id, paid_fen=100_000, key="r", source="cash", paid_at=now)
    used = Use(member_id=member_id, key="u", amount_fen=30_000, list_fen=110_000, permit_key="u", occurred_at=now)
    async with db.unit_of_work():
        await stored.credit(paid, now=now)
        await stored.use(used, now=now)


async def test_without_stored_value_the_shop_says_so() -> None:
    assert "暂未开通储值" in await Person().says("储值")


async def test_with_nothing_stored_the_offers_are_shown() -> None:
    await keeps_stored_value()
    said = await Person().says("充值")
    assert "您还没有储值" in said
    assert "充 ¥1000.00 送 ¥200.00" in said


async def test_the_balance_and_what_would_go_back() -> None:
    await keeps_stored_value()
    person = Person()
    await person.says("你好")
    await topped_up_and_used(await member_of(person))
    said = await person.says("我的储值")
    assert "储值余额 ¥900.00（本金 ¥750.00，赠送 ¥150.00）" in said
    (key,) = keys(person.reply)
    shown = await person.presses(key)
    assert "300.00 × 1000.00 ÷ 1200.00 = ¥250.00" in shown
    assert "应退 1000.00 − 250.00 = ¥750.00" in shown
    assert "应退 1000.00 − 1100.00（超出部分不用补） = ¥0.00" in shown


async def test_the_top_up_of_another_is_not_shown() -> None:
    await keeps_stored_value()
    owner, other = Person(), Person()
    await owner.says("你好")
    await topped_up_and_used(await member_of(owner))
    await owner.says("储值")
    (key,) = keys(owner.reply)
    await other.says("你好")
    assert "没有找到这笔充值" in await other.presses(key)
