"""Claims: exact under concurrency, fair in order, the same answer for the same key."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.coupon_templates import service as templates
from loyalty.coupon_templates.service import TemplateUnknown
from loyalty.coupons import queries
from loyalty.coupons import service as coupons
from loyalty.coupons.service import (
    Claimed,
    ClaimOutcome,
    ClaimRequest,
    Ended,
    LimitReached,
    NotYet,
    SoldOut,
    TierTooLow,
)
from tests.loyalty.people import guest
from tests.loyalty.processes import at_once, side_by_side, tally
from tests.loyalty.shop import ADMIN, NOW, bought, template

pytestmark = pytest.mark.usefixtures("database")

DAY = timedelta(days=1)


async def claim(*requests: ClaimRequest, now: datetime = NOW) -> list[ClaimOutcome]:
    async with db.unit_of_work():
        return await coupons.claim(requests, now=now)


def wish(member_id: int, template_id: int, key: str | None = None, **values: Any) -> ClaimRequest:
    return ClaimRequest(member_id=member_id, template_id=template_id, key=key, **values)


async def issued(template_id: int) -> tuple[int, int]:
    """The counter and the rows: they must never differ."""
    row = await db.fetch_one(
        "SELECT issued, (SELECT count(*) FROM coupon WHERE template_id = $1) AS rows"
        " FROM coupon_template WHERE id = $1",
        template_id,
    )
    assert row is not None
    return row["issued"], row["rows"]


async def test_a_claim_gives_a_coupon_an_event_and_an_end() -> None:
    offer = await template(stock=5, valid_days=7)
    (got,) = await claim(wish(1, offer.id))
    assert isinstance(got, Claimed)
    # Claimed on 21 Nov in Shanghai, the first of seven days: over when 28 Nov begins there.
    assert got.expires_at == datetime(2026, 11, 27, 16, tzinfo=UTC)
    assert await issued(offer.id) == (1, 1)
    event = await db.fetch_one("SELECT member_id, data FROM event WHERE name = 'coupon.claimed'")
    assert event is not None
    assert event["member_id"] == 1


async def test_the_earlier_end_counts() -> None:
    offer = await template(valid_days=30, valid_until=NOW + 2 * DAY)
    (got,) = await claim(wish(1, offer.id))
    assert isinstance(got, Claimed)
    assert got.expires_at == NOW + 2 * DAY


async def test_a_batch_that_asks_for_more_than_there_is_serves_the_first() -> None:
    offer = await template(stock=3)
    outcomes = await claim(*(wish(member_id, offer.id) for member_id in (9, 2, 7, 4, 1)))
    assert [type(outcome) for outcome in outcomes] == [Claimed, Claimed, Claimed, SoldOut, SoldOut]
    assert [outcome.member_id for outcome in outcomes if isinstance(outcome, Claimed)] == [9, 2, 7]
    assert await issued(offer.id) == (3, 3)


async def test_one_member_twice_in_a_batch_counts_once_per_limit() -> None:
    offer = await template(stock=10, per_member_limit=2)
    outcomes = await claim(*(wish(1, offer.id) for _ in range(4)), wish(2, offer.id))
    assert [type(outcome) for outcome in outcomes] == [Claimed, Claimed, LimitReached, LimitReached, Claimed]
    assert [outcome.ordinal for outcome in outcomes if isinstance(outcome, Claimed)] == [1, 2, 1]


async def test_the_same_key_gets_the_same_coupon_in_one_batch_and_later() -> None:
    offer = await template(stock=10, per_member_limit=5)
    first, second = await claim(wish(1, offer.id, "k"), wish(1, offer.id, "k"))
    (later,) = await claim(wish(1, offer.id, "k"))
    assert isinstance(first, Claimed)
    assert isinstance(second, Claimed)
    assert isinstance(later, Claimed)
    assert first.coupon_id == second.coupon_id == later.coupon_id
    assert [first.replayed, second.replayed, later.replayed] == [False, True, True]
    assert await issued(offer.id) == (1, 1)


async def test_a_key_still_answers_when_everything_is_gone() -> None:
    offer = await template(stock=1)
    (first,) = await claim(wish(1, offer.id, "k"))
    again, other = await claim(wish(1, offer.id, "k"), wish(2, offer.id, "k"))
    assert isinstance(first, Claimed)
    assert isinstance(again, Claimed)
    assert again.coupon_id == first.coupon_id
    assert isinstance(other, SoldOut)


async def test_a_holder_hears_of_the_limit_even_when_everything_is_gone() -> None:
    offer = await template(stock=1)
    await claim(wish(1, offer.id))
    (again,) = await claim(wish(1, offer.id))
    assert isinstance(again, LimitReached)
    assert again.params == {"limit": 1}


async def test_several_templates_in_one_batch() -> None:
    one, other = await template(stock=1), await template(stock=None, per_member_limit=3)
    outcomes = await claim(wish(1, other.id), wish(1, one.id), wish(2, one.id), wish(2, other.id))
    assert [type(outcome) for outcome in outcomes] == [Claimed, Claimed, SoldOut, Claimed]


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"claim_from": NOW + DAY}, NotYet),
        ({"claim_until": NOW}, Ended),
        ({"valid_until": NOW}, Ended),
        ({"claimable": False}, TemplateUnknown),
        ({"tiers": ("gold",)}, TierTooLow),
        ({"stock": 0}, SoldOut),
    ],
)
async def test_refusals(values: dict[str, Any], refusal: type[Exception]) -> None:
    offer = await template(**values)
    (outcome,) = await claim(wish(await guest(), offer.id))
    assert type(outcome) is refusal
    assert await issued(offer.id) == (0, 0)


async def test_an_unknown_template_is_refused_and_the_others_served() -> None:
    offer = await template()
    outcomes = await claim(wish(1, 10_000), wish(1, offer.id))
    assert [type(outcome) for outcome in outcomes] == [TemplateUnknown, Claimed]


async def test_a_paused_template_gives_nothing_and_resumes() -> None:
    offer = await template()
    async with db.unit_of_work():
        await templates.set_active(offer.id, active=False, principal=ADMIN, now=NOW)
    assert isinstance((await claim(wish(1, offer.id)))[0], Ended)
    async with db.unit_of_work():
        await templates.set_active(offer.id, active=True, principal=ADMIN, now=NOW)
    assert isinstance((await claim(wish(1, offer.id)))[0], Claimed)


async def test_a_journey_gives_what_members_cannot_claim() -> None:
    offer = await template(claimable=False, claim_from=NOW + DAY)
    (outcome,) = await claim(wish(1, offer.id, "enrollment:7", origin="journey"))
    assert isinstance(outcome, Claimed)


async def test_a_tier_opens_what_it_names() -> None:
    member_id = await guest()
    await bought(member_id, 60_000)
    offer = await template(tiers=("silver", "gold"))
    assert isinstance((await claim(wish(member_id, offer.id)))[0], Claimed)


async def test_restocking_opens_a_sold_out_template() -> None:
    offer = await template(stock=1)
    await claim(wish(1, offer.id))
    assert isinstance((await claim(wish(2, offer.id)))[0], SoldOut)
    async with db.unit_of_work():
        await templates.set_stock(offer.id, 2, principal=ADMIN, now=NOW)
    assert isinstance((await claim(wish(2, offer.id)))[0], Claimed)
    with pytest.raises(templates.StockBelowIssued):
        async with db.unit_of_work():
            await templates.set_stock(offer.id, 1, principal=ADMIN, now=NOW)


async def test_what_is_on_offer_says_why_it_cannot_be_had() -> None:
    member_id = await guest()
    open_, mine, gone, high = (
        await template(),
        await template(),
        await template(stock=0),
        await template(tiers=("gold",)),
    )
    await template(claimable=False)
    await template(claim_from=NOW + DAY)
    await claim(wish(member_id, mine.id))
    offers = {offer.template.id: offer.refusal for offer in await queries.claimable(member_id, at=NOW)}
    assert offers == {
        open_.id: None,
        mine.id: "coupons.limit_reached",
        gone.id: "coupons.sold_out",
        high.id: "coupons.tier_too_low",
    }


async def test_expiry_counts_when_read_and_is_swept_once() -> None:
    offer = await template(valid_days=1, per_member_limit=3)
    got = [outcome for outcome in await claim(*(wish(1, offer.id) for _ in range(3))) if isinstance(outcome, Claimed)]
    ends = got[0].expires_at
    assert [view.status for view in await queries.mine(1, at=ends - timedelta(seconds=1))] == ["issued"] * 3
    assert [view.status for view in await queries.mine(1, at=ends)] == ["expired"] * 3
    assert await queries.mine(1, at=ends, status="issued") == []
    swept = []
    for _ in range(3):
        async with db.unit_of_work():
            swept.append(await coupons.expire_due(now=ends, batch_max=2))
    assert swept == [2, 1, 0]
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'coupon.expired'") == 3


async def test_members_whose_coupons_end_soon() -> None:
    offer = await template(valid_days=3)
    for member_id in (5, 6, 7):
        await claim(wish(member_id, offer.id))
    found = await queries.ending(after=NOW, until=NOW + 3 * DAY, after_member=5)
    assert [ending.member_id for ending in found] == [6, 7]
    assert await queries.ending(after=NOW + 3 * DAY, until=NOW + 9 * DAY) == []


async def test_coupons_of_a_closed_account_are_void() -> None:
    offer = await template()
    await claim(wish(1, offer.id), wish(2, offer.id))
    async with db.unit_of_work():
        assert await coupons.void_all([1]) == 1
    assert [view.status for view in await queries.mine(1, at=NOW)] == ["void"]
    assert [view.status for view in await queries.mine(2, at=NOW)] == ["issued"]


async def test_a_thousand_claims_of_one_member_at_once_give_one() -> None:
    offer = await template(stock=None)

    async def once(number: int) -> ClaimOutcome:
        return (await claim(wish(1, offer.id, f"k{number}")))[0]

    outcomes = Counter(type(outcome) for outcome in await side_by_side(once(n) for n in range(1000)))
    assert outcomes == {Claimed: 1, LimitReached: 999}
    assert await issued(offer.id) == (1, 1)


async def test_a_thousand_equal_keys_at_once_have_one_effect_and_one_answer() -> None:
    offer = await template(stock=500, per_member_limit=100)

    async def once() -> ClaimOutcome:
        return (await claim(wish(1, offer.id, "same")))[0]

    outcomes = await side_by_side(once() for _ in range(1000))
    assert len({outcome.coupon_id for outcome in outcomes if isinstance(outcome, Claimed)}) == 1
    assert await issued(offer.id) == (1, 1)


async def claim_in_batches(template_id: int, members: range, batch_size: int) -> dict[str, int]:
    """What one process of the burst hears; its batches run side by side."""

    async def batch(start: int) -> list[ClaimOutcome]:
        chosen = members[start : start + batch_size]
        return await claim(*(wish(member_id, template_id, f"m{member_id}") for member_id in chosen))

    answers = await side_by_side(batch(start) for start in range(0, len(members), batch_size))
    return Counter(type(outcome).__name__ for answer in answers for outcome in answer)


@pytest.mark.parametrize(("claims", "batch_size"), [(2_000, 1), (10_000, 64)])
async def test_a_burst_from_four_processes_takes_exactly_the_stock(
    database_url: str, claims: int, batch_size: int
) -> None:
    offer = await template(stock=100)
    share = claims // 4
    heard = await at_once(
        database_url,
        claim_in_batches,
        [(offer.id, range(part * share, (part + 1) * share), batch_size) for part in range(4)],
    )
    assert tally(heard) == {"Claimed": 100, "SoldOut": claims - 100}
    assert await issued(offer.id) == (100, 100)
    assert await db.fetch_value("SELECT count(DISTINCT member_id) FROM coupon") == 100


async def test_three_claims_each_from_four_processes_give_one_per_member(database_url: str) -> None:
    offer = await template(stock=100)
    heard = await at_once(database_url, claim_in_batches, [(offer.id, range(250), 7) for _ in range(4)])
    total = tally(heard)
    assert await issued(offer.id) == (100, 100)
    assert await db.fetch_value("SELECT count(DISTINCT member_id) FROM coupon") == 100
    # The same keys from all four: whoever won hears so four times, everybody else that all is gone.
    assert total["Claimed"] + total["SoldOut"] == 1000
    assert total["Claimed"] <= 400
