"""One person in the official account and in the mini-program becomes one member, with one balance."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from bot.calls import CallFailed
from bot.channel import Unknown
from loyalty import db
from loyalty.check_ins import service as check_ins
from loyalty.identity import queries, service
from loyalty.identity.service import Contact
from loyalty.ledger import queries as ledger
from scheduler import unions
from scheduler.duty import Hands

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("database")


class Telling:
    """An official account whose platform knows some unionids."""

    def __init__(self, union_ids: Mapping[str, str | None]) -> None:
        self._union_ids = union_ids
        self.asked: list[str] = []

    async def union_id_of(self, external_id: str) -> str | None:
        self.asked.append(external_id)
        if external_id not in self._union_ids:
            raise CallFailed(Unknown("no answer"))
        return self._union_ids[external_id]


async def met(channel: str, external_id: str, union_id: str | None = None) -> int:
    contact = Contact(
        channel=channel, account="main", app_id=f"wx-{channel}", external_id=external_id, union_id=union_id
    )
    async with db.unit_of_work():
        return (await service.resolve(contact, now=NOW)).member_id


def hands(platform: Telling) -> Hands:
    return Hands(None, {("wechat_oa", "main"): platform})  # type: ignore[arg-type, dict-item]


async def test_a_follower_who_also_uses_the_mini_program_is_one_member_with_one_balance() -> None:
    follower = await met("wechat_oa", "oLin")
    async with db.unit_of_work():
        await check_ins.check_in(follower, now=NOW)
    await met("wechat_mini", "mLin", "uLin")

    await unions.ask(hands(Telling({"oLin": "uLin"})))

    in_account, in_program = await met("wechat_oa", "oLin"), await met("wechat_mini", "mLin", "uLin")
    assert in_account == in_program
    assert (await ledger.balances([in_account], at=NOW))[in_account].points == 5


@pytest.mark.parametrize("told", [{"oLin": None}, {}], ids=["has none", "does not answer"])
async def test_the_platform_is_asked_once_per_follow(told: Mapping[str, str | None]) -> None:
    await met("wechat_oa", "oLin")
    platform = Telling(told)
    for _ in range(2):
        await unions.ask(hands(platform))
    assert platform.asked == ["oLin"]

    known = await queries.find("wechat_oa", "wx-wechat_oa", "oLin")
    assert known is not None
    async with db.unit_of_work():
        await service.followed(known.identity_id, scene=None, now=NOW)
    await unions.ask(hands(platform))
    assert platform.asked == ["oLin", "oLin"]


async def test_who_was_met_with_a_unionid_is_not_asked_for() -> None:
    await met("wechat_oa", "oLin", "uLin")
    platform = Telling({})
    assert not await unions.ask(hands(platform))
    assert platform.asked == []
