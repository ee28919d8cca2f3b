"""Members for a benchmark, made through the product's own verbs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from loyalty import clock, db
from loyalty.access import SystemPrincipal
from loyalty.coupon_templates import service as coupon_templates
from loyalty.coupon_templates.queries import TemplateView
from loyalty.coupon_templates.rules import AmountOff, NewTemplate
from loyalty.coupons import service as coupons
from loyalty.coupons.service import ClaimRequest
from loyalty.identity import service as identity
from loyalty.identity.service import Contact
from loyalty.sessions import service as sessions
from loyalty.staff import service as staff
from xiaohui.bench.prepared import ACCOUNT

CHUNK: Final = 1000
BENCH: Final = SystemPrincipal(name="bench")


async def _members(prefix: str, count: int) -> list[tuple[str, int]]:
    """`count` members known by openid."""
    found: list[tuple[str, int]] = []
    for start in range(0, count, CHUNK):
        openids = [f"o{prefix}{number:08d}" for number in range(start, min(start + CHUNK, count))]
        contacts = [
            Contact(channel="wechat_oa", account=ACCOUNT.account, app_id=ACCOUNT.app_id, external_id=openid)
            for openid in openids
        ]
        async with db.unit_of_work():
            people = await identity.resolve_many(contacts, now=clock.now())
        found += [(openid, person.member_id) for openid, person in zip(openids, people, strict=True)]
    return found


async def known(count: int) -> list[str]:
    """Openids of members who have written before."""
    return [openid for openid, _ in await _members("check", count)]


async def logged_in(count: int) -> list[str]:
    """Session tokens of as many members."""
    return await _tokens([member_id for _, member_id in await _members("read", count)])


async def with_template(count: int, *, stock: int) -> tuple[list[str], str]:
    """Session tokens, and a coupon template they may claim once each."""
    template = await _offer("bench-claims", stock=stock)
    return await _tokens([member_id for _, member_id in await _members("claim", count)]), template.code


async def coupons_of(template: str) -> int:
    """How many coupons of this template are stored."""
    return int(
        await db.fetch_value(
            "SELECT count(*) FROM coupon WHERE template_id = (SELECT id FROM coupon_template WHERE code = $1)", template
        )
    )


async def at_tills(count: int, *, tills: int) -> tuple[list[str], list[str]]:
    """Keys of as many tills, and the public ids of as many members, each with a coupon."""
    template = await _offer("bench-tills", stock=count)
    people = [member_id for _, member_id in await _members("till", count)]
    now = clock.now()
    wanted = [ClaimRequest(member_id=one, template_id=template.id, origin="import") for one in people]
    async with db.unit_of_work():
        await coupons.claim(wanted, now=now)
        made = [
            await staff.add_partner(name=f"till {n}", store_id=None, principal=BENCH, now=now) for n in range(tills)
        ]
    rows = await db.fetch("SELECT public_id FROM member WHERE id = ANY($1)", people)
    return [partner.key for partner in made], [str(row["public_id"]) for row in rows]


async def _offer(code: str, *, stock: int) -> TemplateView:
    now = clock.now()
    async with db.unit_of_work():
        return await coupon_templates.create_template(
            NewTemplate(
                code=code,
                name={"zh-CN": "压测券", "en": "Benchmark coupon"},
                worth=AmountOff(off_fen=100),
                stock=stock,
                claim_from=now - timedelta(days=1),
                valid_days=30,
            ),
            principal=BENCH,
            now=now,
        )


async def _tokens(member_ids: Sequence[int]) -> list[str]:
    tokens: list[str] = []
    for start in range(0, len(member_ids), CHUNK):
        async with db.unit_of_work():
            for member_id in member_ids[start : start + CHUNK]:
                opened = await sessions.open_for_member(member_id, identity_id=None, now=clock.now())
                tokens.append(opened.token)
    return tokens
