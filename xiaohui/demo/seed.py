"""Writing the demo through the product's own verbs, so that every number in it is one the product made."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from loyalty import clock, db
from loyalty.access import Role, SystemPrincipal
from loyalty.coupon_templates import queries as templates
from loyalty.coupon_templates import service as coupon_templates
from loyalty.coupon_templates.rules import AmountOff, Exchange, NewTemplate, PercentOff
from loyalty.coupons import service as coupons
from loyalty.identity import service as identity
from loyalty.identity.service import Contact, Person
from loyalty.members import service as members
from loyalty.members.service import VerifiedPhone
from loyalty.program import queries as program
from loyalty.program import service as publication
from loyalty.program.terms import Terms
from loyalty.purchases import service as purchases
from loyalty.purchases.service import NewPurchase
from loyalty.staff import queries as staff_queries
from loyalty.staff import service as staff
from xiaohui.demo import draw, mall, people, tiers, wallets
from xiaohui.demo.people import DemoPerson

DEMO: Final = SystemPrincipal(name="demo")
CHUNK: Final = 200
PROGRESS_EVERY: Final = 1000
MARKER: Final = "demo.json"
STAFF: Final = (("zhang", "张店员", Role.CLERK), ("chen", "陈店长", Role.MANAGER))


Progress = Callable[[str], object]


async def seed_once(home: Path, *, members: int, corp_id: str, progress: Progress) -> int:
    """Seed the database of a data folder, once; a start that was interrupted continues. How many were added."""
    marker = home / MARKER
    if marker.exists():
        return 0
    now = clock.now()
    added = await seed(members=members, corp_id=corp_id, seed=1, now=now, progress=progress)
    async with db.unit_of_work():
        till = await staff.add_partner(name="演示收银台 demo till", store_id=None, principal=DEMO, now=now)
    marker.touch(mode=0o600)
    marker.write_text(json.dumps({"partner_key": till.key}), encoding="utf-8")
    return added


async def seed(*, members: int, corp_id: str, seed: int, now: datetime, progress: Progress) -> int:
    """Write shops, staff, coupons and `members` people with their history; what exists is left as it is.

    People are committed by the `CHUNK`, so that an interrupted run goes on where it was. How many were added.
    """
    async with db.unit_of_work():
        await _programme(now)
        stores = await _shops(corp_id, now)
        await _coupons(now)
        await mall.stock(principal=DEMO, now=now)
    added = 0
    for start in range(0, members, CHUNK):
        numbers = range(start, min(start + CHUNK, members))
        async with db.unit_of_work():
            added += await _people(numbers, seed, stores, now)
        if numbers.stop % PROGRESS_EVERY == 0:
            progress(f"{numbers.stop:,} / {members:,}")
    async with db.unit_of_work():
        first = await _first(members, seed, now)
        await draw.spin(first, principal=DEMO, now=now)
        await wallets.fill(first, now=now)
    return added


async def _first(members: int, seed: int, now: datetime) -> list[int]:
    """Who drew yesterday: the first of the people."""
    who = [people.person(number, seed) for number in range(min(members, draw.DRAWN_YESTERDAY))]
    return [known.member_id for known in await identity.resolve_many([_contact(person) for person in who], now=now)]


async def _programme(now: datetime) -> None:
    if (await program.in_force(now)).version == 0:
        await publication.publish(
            Terms(stored_value=wallets.TERMS), by="demo", effective_from=now - timedelta(days=365), now=now
        )
        program.forget()
    await tiers.publish(principal=DEMO, now=now)


async def _shops(corp_id: str, now: datetime) -> list[int]:
    known = {store.code: store.id for store in await staff_queries.stores()}
    for code, name, city in people.SHOPS:
        if code not in known:
            store = await staff.add_store(code=code, name=name, city=city, principal=DEMO, now=now)
            known[code] = store.id
    stores = [known[code] for code, _, _ in people.SHOPS]
    for user_id, name, role in STAFF:
        if await staff_queries.recognise(corp_id, user_id) is None:
            await staff.add_staff(
                corp_id=corp_id, user_id=user_id, name=name, role=role, store_id=stores[0], principal=DEMO, now=now
            )
    return stores


def _templates(now: datetime) -> Sequence[NewTemplate]:
    begin, end = now - timedelta(days=30), now + timedelta(days=90)
    return (
        NewTemplate(
            code="welcome10",
            name={"zh-CN": "新人立减 10 元", "en": "¥10 off for newcomers"},
            worth=AmountOff(off_fen=1000),
            min_spend_fen=3000,
            stock=100_000,
            claim_from=begin,
            claim_until=end,
            valid_days=30,
        ),
        NewTemplate(
            code="tea88",
            name={"zh-CN": "全场 88 折", "en": "12% off everything"},
            worth=PercentOff(percent_off=12, cap_fen=2000),
            stock=5000,
            claim_from=begin,
            claim_until=end,
            valid_days=14,
        ),
        NewTemplate(
            code="croissant",
            name={"zh-CN": "现烤可颂兑换券", "en": "A croissant on us"},
            worth=Exchange(item={"zh-CN": "现烤可颂 1 个", "en": "one croissant"}),
            stock=100,
            claim_from=begin,
            claim_until=end,
            valid_days=7,
        ),
        NewTemplate(
            code="gold20",
            name={"zh-CN": "金卡专享立减 20 元", "en": "¥20 off for gold members"},
            worth=AmountOff(off_fen=2000),
            min_spend_fen=5000,
            stock=1000,
            claim_from=begin,
            claim_until=end,
            valid_days=30,
            tiers=("gold", "diamond"),
        ),
    )


async def _coupons(now: datetime) -> None:
    for template in _templates(now):
        if await templates.by_code(template.code) is None:
            await coupon_templates.create_template(template, principal=DEMO, now=now)


async def _people(numbers: range, seed: int, stores: Sequence[int], now: datetime) -> int:
    who = [people.person(number, seed) for number in numbers]
    found = await identity.resolve_many([_contact(person) for person in who], now=now)
    fresh = [(number, person, known) for number, person, known in zip(numbers, who, found, strict=True) if known.is_new]
    for _, person, known in fresh:
        await _register(person, known, now)
    await tiers.grow_long_ago([known.member_id for number, _, known in fresh if number < tiers.BEFORE_REVIEW], now=now)
    sales = [
        NewPurchase(
            source="demo",
            external_id=sale.external_id,
            member_id=known.member_id,
            amount_fen=sale.amount_fen,
            occurred_at=sale.at,
            store_id=stores[sale.shop],
            receipt=sale.receipt,
        )
        for number, person, known in fresh
        for sale in people.sales(number, person, seed, now)
    ]
    if sales:
        await purchases.record(sales, principal=DEMO, now=now)
    await _claim_welcome([known.member_id for _, _, known in fresh], now)
    return len(fresh)


def _contact(person: DemoPerson) -> Contact:
    return Contact(channel="wechat_oa", account="demo", app_id="wxdemo", external_id=person.openid, locale="zh-CN")


async def _register(person: DemoPerson, known: Person, now: datetime) -> None:
    phone = VerifiedPhone(person.phone, proof="wechat") if person.phone else None
    try:
        async with db.attempt():
            await members.register(
                known.member_id, phone=phone, channel="wechat_oa", now=now, name=person.name, birthday=person.birthday
            )
    except members.PhoneTaken:
        # Two seeds can make the same number; the first keeps it, as in life.
        await members.register(known.member_id, phone=None, channel="wechat_oa", now=now, name=person.name)


async def _claim_welcome(member_ids: Sequence[int], now: datetime) -> None:
    template = await templates.by_code("welcome10")
    if template is not None and member_ids:
        requests = [
            coupons.ClaimRequest(member_id=member_id, template_id=template.id, key="demo")
            for member_id in member_ids[::2]
        ]
        await coupons.claim(requests, now=now)
