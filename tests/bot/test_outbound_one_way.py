"""Cards to staff by WeCom, and codes by SMS."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from bot.channel import Accepted, Rejected, RejectReason, SendResult, Unknown
from loyalty import clock, db
from loyalty.access import Role, StaffPrincipal
from loyalty.phones import service as phones
from loyalty.points import service as points
from loyalty.points.service import AwaitingApproval
from loyalty.staff import service as staff
from scheduler.relay import relay
from tests.loyalty import shop
from tests.loyalty.people import registered
from tests.scheduler.stage import Platform, due_now, hands, person, send_all

PHONE = "+8613800000088"


class Sms:
    """A provider that remembers what it was asked to send."""

    def __init__(self, *results: SendResult) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self._results = list(results)

    async def send(self, phone: str, template: str, params: Mapping[str, str], *, message_id: str) -> SendResult:
        assert not db.in_unit_of_work()
        assert template == "phone_code"
        self.sent.append((phone, params["code"], message_id))
        return self._results.pop(0) if self._results else Accepted("s1")

    async def send_code(self, phone: str, code: str) -> bool:
        raise NotImplementedError


async def code_queued() -> int:
    member_id = (await person("telegram")).member_id
    async with db.unit_of_work():
        await phones.send_code(member_id, PHONE, now=await db.now())
    return member_id


async def status() -> tuple[str, str | None]:
    row = await db.fetch_one("SELECT status, code FROM outbox")
    assert row is not None
    return row["status"], row["code"]


async def test_a_code_reaches_the_phone_and_proves_it(database: None) -> None:
    sms = Sms()
    member_id = await code_queued()
    await send_all(hands(sms=sms))
    ((phone, code, _),) = sms.sent
    assert phone == PHONE
    async with db.unit_of_work():
        proven = await phones.prove(member_id, PHONE, code, now=await db.now())
    assert isinstance(proven, phones.ProvenPhone)
    assert await status() == ("accepted", None)


async def test_a_code_is_nowhere_in_the_clear(database: None) -> None:
    sms = Sms()
    await code_queued()
    await send_all(hands(sms=sms))
    row = await db.fetch_one("SELECT outbox::text AS whole FROM outbox")
    assert row is not None
    assert sms.sent[0][1] not in row["whole"].replace("2026", "")
    assert PHONE not in row["whole"]


async def test_a_lost_answer_of_the_provider_is_asked_for_with_the_same_id(database: None) -> None:
    sms = Sms(Unknown("timeout"))
    await code_queued()
    await send_all(hands(sms=sms))
    assert len(sms.sent) == 2
    assert len(set(sms.sent)) == 1
    assert await status() == ("accepted", None)


async def test_a_code_that_cannot_be_sent_in_time_is_dropped(database: None) -> None:
    sms = Sms(Rejected(RejectReason.RATE, "429", "", 60.0))
    await code_queued()
    await send_all(hands(sms=sms))
    assert await status() == ("queued", "429")
    clock.shift(clock.offset() + timedelta(minutes=6))
    await send_all(hands(sms=sms))
    assert (len(sms.sent), await status()) == (1, ("expired", "too_late"))


async def test_without_a_provider_no_code_is_sent(database: None) -> None:
    await code_queued()
    await send_all(hands())
    assert await status() == ("suppressed", "no_sms_provider")


# --- staff --------------------------------------------------------------------------------------


async def a_request() -> tuple[StaffPrincipal, StaffPrincipal, AwaitingApproval]:
    """A clerk asks for more points than they may give alone; the manager who may decide it."""
    store = await shop.store()
    clerk, manager = await shop.employee(Role.CLERK, store), await shop.employee(Role.MANAGER, store)
    member_id = await registered()
    async with db.unit_of_work():
        asked = await points.grant_points(clerk, member_id, 300, reason="补偿", key="k1", now=await db.now())
    assert isinstance(asked, AwaitingApproval)
    return clerk, manager, asked


async def told(platform: Platform) -> list[tuple[str, str]]:
    await relay(hands())
    await send_all(hands(platform))
    return [(message.external_id, message.reply.text) for message in platform.sent]


async def user_id(who: StaffPrincipal) -> str:
    return str(await db.fetch_value("SELECT user_id FROM staff WHERE id = $1", who.staff_id))


@pytest.fixture
def wecom() -> Platform:
    return Platform("wecom", app_id=shop.CORP)


async def test_a_request_reaches_the_manager_as_a_card_and_the_answer_reaches_the_clerk(
    database: None, wecom: Platform
) -> None:
    clerk, manager, asked = await a_request()
    ((to, _),) = await told(wecom)
    assert to == await user_id(manager)
    card = wecom.sent[0].reply.card
    assert card is not None
    assert "300" in [row.value for row in card.rows]
    assert len(wecom.sent[0].reply.buttons) == 2
    async with db.unit_of_work():
        await points.decide_grant(asked.approval_id, manager, approve=True, now=await db.now())
    texts = await told(wecom)
    assert [to for to, _ in texts[1:]] == [await user_id(clerk)]
    assert "300" in texts[1][1]


async def test_a_card_for_what_was_decided_meanwhile_is_not_sent(database: None, wecom: Platform) -> None:
    _, manager, asked = await a_request()
    await relay(hands())
    async with db.unit_of_work():
        await points.decide_grant(asked.approval_id, manager, approve=False, now=await db.now())
    await send_all(hands(wecom))
    assert wecom.sent == []


async def test_staff_who_left_are_not_written_to(database: None, wecom: Platform) -> None:
    _, manager, _ = await a_request()
    await relay(hands())
    async with db.unit_of_work():
        await staff.remove_staff(shop.CORP, await user_id(manager), principal=shop.ADMIN, now=await db.now())
    await send_all(hands(wecom))
    assert (wecom.sent, await status()) == ([], ("suppressed", "staff_gone"))


async def test_a_card_is_repeated_after_a_lost_answer_because_wecom_drops_the_copy(
    database: None, wecom: Platform
) -> None:
    wecom.results = [Unknown("timeout")]
    await a_request()
    await relay(hands())
    await send_all(hands(wecom, ask_again_after_s=0))
    assert len(wecom.sent) == 2
    assert wecom.sent[0] == wecom.sent[1]
    assert await status() == ("accepted", None)


async def test_a_corp_that_is_misconfigured_rests_and_the_card_waits(database: None, wecom: Platform) -> None:
    wecom.results = [Rejected(RejectReason.CONFIGURATION, "60020")]
    await a_request()
    await relay(hands())
    await send_all(hands(wecom))
    key = await db.fetch_value("SELECT key FROM outbox")
    await due_now(key)
    await send_all(hands(wecom))
    assert (len(wecom.sent), await status()) == (1, ("queued", "resting"))
    clock.shift(clock.offset() + timedelta(minutes=6))
    await due_now(key)
    await send_all(hands(wecom))
    assert await status() == ("accepted", None)
