"""A number that somebody else holds moves after the cooling-off, alone, unless the holder objects."""

from datetime import timedelta

import pytest

from loyalty import db
from loyalty.datarights import service as datarights
from loyalty.members import queries as members
from loyalty.members.service import VerifiedPhone
from loyalty.phone_claims import service as phone_claims
from loyalty.phone_claims.service import ClaimUnderWay, ClaimUnknown, PendingClaim, PhoneFree
from tests.loyalty.people import NOW, give_points, guest, registered

pytestmark = pytest.mark.usefixtures("database")
PHONE = "+8613800138000"
LATER = NOW + timedelta(hours=72)


async def claim(member_id: int) -> PendingClaim:
    async with db.unit_of_work():
        return await phone_claims.claim(member_id, VerifiedPhone(PHONE, "sms"), now=NOW)


async def settle(at_hours: int = 72) -> int:
    async with db.unit_of_work():
        return await phone_claims.settle_due(now=NOW + timedelta(hours=at_hours), batch_max=10)


async def test_the_number_moves_after_72_hours_and_nothing_else() -> None:
    holder, newcomer = await registered(PHONE), await guest()
    await give_points(holder, 100)
    await claim(newcomer)
    assert await db.fetch_value("SELECT notice FROM outbox WHERE member_id = $1", holder) == "phone_claimed"
    assert await settle(at_hours=71) == 0
    assert await settle() == 1
    assert (await members.card_by_phone(PHONE, at=LATER)).id == newcomer
    assert (await members.card(newcomer, at=LATER)).points == 0
    assert (await members.card(holder, at=LATER)).points == 100
    assert (await members.card(holder, at=LATER)).phone_masked is None
    assert await db.fetch_value("SELECT phone_sealed IS NULL FROM phone_claim")


async def test_the_holder_may_object_and_nobody_else() -> None:
    holder, newcomer = await registered(PHONE), await guest()
    pending = await claim(newcomer)
    with pytest.raises(ClaimUnknown):
        await phone_claims.object_to(pending.id, newcomer, now=NOW)
    await phone_claims.object_to(pending.id, holder, now=NOW)
    assert await settle() == 0
    assert (await members.card_by_phone(PHONE, at=LATER)).id == holder


async def test_one_claim_at_a_time_and_only_on_a_held_number() -> None:
    with pytest.raises(PhoneFree):
        await claim(await guest())
    holder = await registered(PHONE)
    with pytest.raises(PhoneFree):
        await claim(holder)
    await claim(await guest())
    with pytest.raises(ClaimUnderWay):
        await claim(await guest())


async def test_a_claimant_who_left_does_not_cost_the_holder_the_number() -> None:
    holder, newcomer = await registered(PHONE), await guest()
    await claim(newcomer)
    await db.execute("UPDATE member SET status = 'merged' WHERE id = $1", newcomer)
    assert await settle() == 1
    assert (await members.card_by_phone(PHONE, at=LATER)).id == holder
    assert await db.fetch_value("SELECT status FROM phone_claim") == "refused"


async def test_a_closed_holder_lets_the_number_go() -> None:
    holder, newcomer = await registered(PHONE), await guest()
    await claim(newcomer)
    async with db.unit_of_work():
        await datarights.close(holder, now=NOW)
    assert await settle() == 1
    assert (await members.card_by_phone(PHONE, at=LATER)).id == newcomer
