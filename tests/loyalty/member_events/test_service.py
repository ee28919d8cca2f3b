"""Events of partner systems: recorded once, and what they earn."""

from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.earning.service import Earned
from loyalty.ledger import queries as ledger
from loyalty.member_events import service
from loyalty.member_events.service import EventKeyReused, EventTooEarly, NewEvent
from tests.loyalty.earning.test_award import DAY, publish
from tests.loyalty.earning.written import NOW, why
from tests.loyalty.people import at_once, registered
from tests.loyalty.shop import ADMIN

pytestmark = pytest.mark.usefixtures("database")
FIVE_STARS = {"op": "ge", "field": "event.data.stars", "value": 5}


def review(member_id: int, stars: int = 5, **more: Any) -> NewEvent:
    given: dict[str, Any] = {"source": "shop", "external_id": "1", "name": "reviewed", "occurred_at": NOW}
    return NewEvent(**given | {"member_id": member_id, "data": {"stars": stars}} | more)


async def report(new: NewEvent) -> Earned:
    async with db.unit_of_work():
        return await service.report(new, principal=ADMIN, now=NOW)


async def test_an_event_earns_once_by_what_it_carries() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("review", 30, trigger="event:reviewed", condition=FIVE_STARS)
    done = await at_once(*(db.retried(lambda: report(review(member_id))) for _ in range(4)))
    assert sorted(one.replayed for one in done if not isinstance(one, BaseException)) == [False, True, True, True]
    assert (await ledger.balances([member_id], at=NOW))[member_id].points == 30
    few = await report(review(member_id, 4, external_id="2"))
    assert (few.total("points"), why(few.evaluation)) == (0, {"review": ("condition", None)})
    names = await db.fetch(
        "SELECT name FROM event WHERE name IN ('member_event.reported', 'points.accrued') ORDER BY id"
    )
    assert [row["name"] for row in names] == ["member_event.reported", "points.accrued", "member_event.reported"]


async def test_a_number_means_one_event_and_nothing_comes_from_the_future() -> None:
    member_id = await registered(now=NOW - DAY)
    await report(review(member_id))
    with pytest.raises(EventKeyReused):
        await report(review(member_id, 4))
    with pytest.raises(EventTooEarly):
        await report(review(member_id, external_id="3", occurred_at=NOW + timedelta(minutes=6)))


async def test_a_preview_writes_nothing() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("review", 30, trigger="event:reviewed")
    seen = await service.preview(review(member_id), principal=ADMIN, now=NOW)
    assert seen.total("points") == 30
    assert await db.fetch_value("SELECT count(*) FROM member_event") == 0
