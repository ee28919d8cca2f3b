"""Logins: opaque, hashed, sliding, revocable."""

from datetime import timedelta

import pytest

from loyalty import db
from loyalty.sessions import service as sessions
from loyalty.sessions.service import MemberSession, SessionEnded, StaffSession
from tests.loyalty.people import NOW, meet

pytestmark = pytest.mark.usefixtures("database")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def staff() -> int:
    return int(
        await db.fetch_value(
            "INSERT INTO staff (corp_id, user_id, name, role, status)"
            " VALUES ('c', 'u', 'n', 'clerk', 'active') RETURNING id"
        )
    )


async def test_a_member_is_recognised_by_token() -> None:
    person = await meet()
    opened = await sessions.open_for_member(person.member_id, identity_id=person.identity_id, now=NOW)
    found = await sessions.principal(opened.token, now=NOW + HOUR)
    assert found == MemberSession(person.member_id, "guest", "zh-CN", person.identity_id)
    assert opened.token not in await db.fetch_value("SELECT token_hash FROM session")


async def test_use_keeps_it_alive_up_to_thirty_days() -> None:
    opened = await sessions.open_for_member((await meet()).member_id, identity_id=None, now=NOW)
    at = NOW
    while at < NOW + 30 * DAY - 20 * HOUR:
        at += 20 * HOUR
        await sessions.principal(opened.token, now=at)
    with pytest.raises(SessionEnded):
        await sessions.principal(opened.token, now=NOW + 30 * DAY)


async def test_a_day_of_silence_ends_it() -> None:
    opened = await sessions.open_for_member((await meet()).member_id, identity_id=None, now=NOW)
    with pytest.raises(SessionEnded):
        await sessions.principal(opened.token, now=NOW + DAY)


async def test_reading_within_the_hour_does_not_write() -> None:
    opened = await sessions.open_for_member((await meet()).member_id, identity_id=None, now=NOW)
    await sessions.principal(opened.token, now=NOW + timedelta(minutes=59))
    assert await db.fetch_value("SELECT expires_at FROM session") == NOW + DAY
    await sessions.principal(opened.token, now=NOW + HOUR)
    assert await db.fetch_value("SELECT expires_at FROM session") == NOW + DAY + HOUR


async def test_staff_stay_twelve_hours_whatever_they_do_and_leave_when_disabled() -> None:
    staff_id = await staff()
    opened = await sessions.open_for_staff(staff_id, now=NOW)
    assert await sessions.principal(opened.token, now=NOW + 11 * HOUR) == StaffSession(staff_id, "clerk", None)
    with pytest.raises(SessionEnded):
        await sessions.principal(opened.token, now=NOW + 12 * HOUR)
    await db.execute("UPDATE staff SET status = 'left'")
    with pytest.raises(SessionEnded):
        await sessions.principal(opened.token, now=NOW + HOUR)


async def test_revoked_is_over_at_once() -> None:
    member_id = (await meet()).member_id
    one = await sessions.open_for_member(member_id, identity_id=None, now=NOW)
    two = await sessions.open_for_member(member_id, identity_id=None, now=NOW)
    await sessions.revoke(one.token, now=NOW)
    with pytest.raises(SessionEnded):
        await sessions.principal(one.token, now=NOW)
    assert await sessions.revoke_all_of_member(member_id, now=NOW) == 1
    with pytest.raises(SessionEnded):
        await sessions.principal(two.token, now=NOW)


@pytest.mark.parametrize("status", ["closed", "merged"])
async def test_nobody_is_logged_into_a_closed_account(status: str) -> None:
    opened = await sessions.open_for_member((await meet()).member_id, identity_id=None, now=NOW)
    await db.execute("UPDATE member SET status = $1", status)
    with pytest.raises(SessionEnded):
        await sessions.principal(opened.token, now=NOW)


async def test_unknown_tokens_end_like_old_ones() -> None:
    for token in ("", "x", "\ud83d\ude00", "a" * 1000):
        with pytest.raises(SessionEnded):
            await sessions.principal(token, now=NOW)
