"""Tills without a network: signed codes by the API, uploads that come twice, replays, and what such codes may not."""

from datetime import timedelta
from typing import Any

import pytest

from loyalty import clock, db
from loyalty.ledger import queries as ledger
from tests.loyalty.people import give_points
from tests.loyalty.processes import side_by_side
from tests.miniapp_api.people import Api, LoggedIn, new_member, new_partner


@pytest.fixture
async def who(api: Api) -> LoggedIn:
    return await new_member()


async def code_of(api: Api, who: LoggedIn) -> str:
    shown = await api.by(who.token).get("/v1/me/member-code")
    assert shown.status == 200
    return str(shown.json["offline"]["code"])


def sale(number: str, code: str, amount_fen: int = 10_000, **more: Any) -> dict[str, Any]:
    at = more.pop("at", clock.now()).isoformat()
    return {"external_id": number, "member_code": code, "amount_fen": amount_fen, "occurred_at": at, **more}


async def uploaded(till: Api, *items: dict[str, Any]) -> list[str]:
    """What was said of each."""
    answer = await till.post("/v1/partner/purchases/offline", {"items": list(items)})
    assert answer.status == 200
    return [
        item["refusal"] or f"{item['recorded']['points']} points, {item['recorded']['replayed']}"
        for item in answer.json["items"]
    ]


async def points(who: LoggedIn) -> int:
    return (await ledger.balances([who.id], at=clock.now()))[who.id].points


async def test_anybody_gets_the_keys(api: Api) -> None:
    keys = (await api.get("/v1/member-code-keys")).json["keys"]
    assert [len(key["x"]) for key in keys] == [43, 43, 43]
    assert len({key["kid"] for key in keys}) == 3


async def test_case_45_a_till_without_a_network_uploads_twice_and_again(api: Api, who: LoggedIn) -> None:
    till, code = api.by(await new_partner()), await code_of(api, who)
    clock.shift(timedelta(hours=7))
    bought = sale("dev7-1", code, at=clock.now() - timedelta(hours=4))
    assert await uploaded(till, bought) == ["100 points, False"]
    assert await uploaded(till, bought, bought) == ["100 points, True"] * 2
    assert await points(who) == 100


async def test_a_code_replayed_at_another_till_is_found_out(api: Api, who: LoggedIn) -> None:
    one, other, code = api.by(await new_partner()), api.by(await new_partner()), await code_of(api, who)
    assert await uploaded(one, sale("A", code)) == ["100 points, False"]
    # The same number of another till is another sale.
    assert await uploaded(other, sale("A", code)) == ["offline_codes.replayed"]
    assert await uploaded(one, sale("B", code)) == ["offline_codes.replayed"]
    assert await points(who) == 100
    refused = "SELECT count(*) FROM audit_entry WHERE outcome = 'refused' AND reason = 'offline_codes.replayed'"
    assert await db.fetch_value(refused) == 2


async def test_two_tills_at_once_with_one_code_earn_once(api: Api, who: LoggedIn) -> None:
    tills, code = [api.by(await new_partner()) for _ in range(6)], await code_of(api, who)
    heard = await side_by_side(uploaded(till, sale("A", code)) for till in tills)
    assert sorted(said for [said] in heard) == ["100 points, False"] + ["offline_codes.replayed"] * 5
    assert await points(who) == 100


async def test_such_a_sale_spends_nothing(api: Api, who: LoggedIn) -> None:
    till, code = api.by(await new_partner()), await code_of(api, who)
    await give_points(who.id, 5000, now=clock.now())
    for tender in ("points", "coupon"):
        with_it = sale("A", code, tenders={tender: 1000, "cash": 9000})
        assert await uploaded(till, with_it) == ["offline_codes.earn_only"]
    assert await points(who) == 5000
    assert await uploaded(till, sale("A", code, tenders={"cash": 10_000})) == ["100 points, False"]


async def test_what_is_wrong_with_one_leaves_the_others_and_may_be_mended(api: Api, who: LoggedIn) -> None:
    till, code = api.by(await new_partner()), await code_of(api, who)
    other = await code_of(api, await new_member())
    clock.shift(timedelta(hours=13))
    since = clock.now() - timedelta(hours=13)
    uneven = sale("A", code, at=since, lines=[{"no": 1, "amount_fen": 1}])
    forged = sale("B", "A" * 130, at=since)
    late = sale("C", other, at=since + timedelta(hours=7))
    early = sale("D", other, at=since - timedelta(hours=1))
    good = sale("E", other, at=since + timedelta(hours=5))
    assert await uploaded(till, uneven, forged, late, early, good) == [
        "purchases.uneven",
        "offline_codes.invalid",
        "offline_codes.not_then",
        "offline_codes.not_then",
        "100 points, False",
    ]
    # A refused sale did not use its code up.
    assert await uploaded(till, sale("A", code, at=since)) == ["100 points, False"]


async def test_a_member_who_was_merged_or_closed_meanwhile(api: Api, who: LoggedIn) -> None:
    from loyalty.merges import service as merges

    till, stays, code = api.by(await new_partner()), await new_member(), await code_of(api, who)
    async with db.unit_of_work():
        await merges.merge(who.id, stays.id, reason="test", now=clock.now())
    assert await uploaded(till, sale("A", code)) == ["100 points, False"]
    assert await points(stays) == 100
    gone = await new_member()
    code = await code_of(api, gone)
    await db.execute("UPDATE member SET status = 'closed' WHERE id = $1", gone.id)
    assert await uploaded(till, sale("B", code)) == ["member.gone"]
