"""Bringing a draw before people: written as a draft, then frozen with its odds and the commitment of every day."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from loyalty import access, db, vault
from loyalty.access import Action, Principal, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.coupon_templates import queries as templates
from loyalty.draws import proof, rules
from loyalty.draws.queries import COLUMNS, DrawView, find, view_of
from loyalty.draws.rules import CouponPrize, NewDraw
from loyalty.errors import Conflict, Invalid, NotFound
from loyalty.program import queries as program

_DRAFT: Final = f"""
INSERT INTO draw (code, document, fingerprint, status, starts_at, ends_at, created_by, created_at)
VALUES ($1, $2, $3, 'draft', $4, $5, $6, $7)
ON CONFLICT (code) DO UPDATE SET document = excluded.document, fingerprint = excluded.fingerprint,
    starts_at = excluded.starts_at, ends_at = excluded.ends_at, created_by = excluded.created_by
WHERE draw.status = 'draft'
RETURNING {COLUMNS}
"""
# A draw that somebody changed since it was read is another one: the fingerprint says which was meant.
_PUBLISH: Final = f"""
UPDATE draw SET status = 'published', published_at = $3 WHERE code = $1 AND fingerprint = $2 AND status = 'draft'
RETURNING {COLUMNS}
"""
_WITHDRAW: Final = f"""
UPDATE draw SET status = 'withdrawn' WHERE code = $1 AND status IN ('draft', 'published') AND starts_at > $2
RETURNING {COLUMNS}
"""
_DAYS: Final = """
INSERT INTO draw_day (draw_id, day, seed_sealed, commitment, head)
SELECT $1, day, seed, commitment, commitment
FROM unnest($2::date[], $3::bytea[], $4::text[]) AS given(day, seed, commitment)
"""
_STOCK: Final = """
INSERT INTO draw_stock (draw_id, prize, stock)
SELECT $1, prize, stock FROM unnest($2::text[], $3::bigint[]) AS given(prize, stock)
"""


class DrawUnknown(NotFound):
    """There is no such draw, or it is not published."""

    code = "draws.unknown"


class DrawFrozen(Conflict):
    """A published draw never changes (反不正当竞争法 art. 11); before it starts it can be withdrawn."""

    code = "draws.frozen"


class DrawChanged(Conflict):
    """The draft is not the one that was read; read it again before publishing."""

    code = "draws.changed"


class DrawTooLate(Invalid):
    """The draw would already have ended."""

    code = "draws.too_late"


class PrizeOverCap(Invalid):
    """One occasion could win more than 50,000 yuan: `prize`, `worth_fen` (反不正当竞争法 art. 11;
    规范促销行为暂行规定 art. 17: several chances on one ticket add up)."""

    code = "draws.prize_over_cap"


class PrizeUnknown(Invalid):
    """A prize names a coupon template that does not exist: `template`."""

    code = "draws.prize_unknown"


def seed_context(draw_id: int) -> str:
    """What a draw's sealed seeds are bound to."""
    return f"draw_day.seed:{draw_id}"


async def draft(draw: NewDraw, *, principal: Principal, now: datetime) -> DrawView:
    """Write a draft, or write it anew.

    Raises:
        DrawFrozen: a draw of this code was published.
        PrizeOverCap, PrizeUnknown, Forbidden
    """
    access.authorize(principal, Action.CAMPAIGN_EDIT)
    if (over := rules.over_cap(draw)) is not None:
        raise PrizeOverCap(prize=over.code, worth_fen=rules.most_fen(over, draw.chances))
    for prize in draw.prizes:
        if isinstance(prize.award, CouponPrize) and await templates.by_code(prize.award.template) is None:
            raise PrizeUnknown(template=prize.award.template)
    document = rules.document_of(draw)
    row = await db.fetch_one(
        _DRAFT, draw.code, document, rules.fingerprint(document), draw.starts_at, draw.ends_at, _name(principal), now
    )
    if row is None:
        raise DrawFrozen(code=draw.code)
    return view_of(row)


async def publish(code: str, fingerprint: str, *, principal: Principal, now: datetime) -> DrawView:
    """Freeze the draft that `fingerprint` names, commit to a seed for each of its days, and open it to members.

    Raises:
        DrawUnknown, DrawFrozen, DrawChanged, DrawTooLate, Forbidden
    """
    await draft_of(code, principal=principal, now=now)
    return await carry_out(code, fingerprint, principal=principal, now=now)


async def draft_of(code: str, *, principal: Principal, now: datetime) -> DrawView:
    """The draft that `principal` may publish.

    Raises:
        DrawUnknown, DrawFrozen, DrawTooLate, Forbidden
    """
    access.authorize(principal, Action.CAMPAIGN_EDIT)
    return await _draft(code, now)


async def _draft(code: str, now: datetime) -> DrawView:
    found = await find(code)
    if found is None:
        raise DrawUnknown
    if found.status != "draft":
        raise DrawFrozen(code=code)
    if found.draw.ends_at <= now:
        raise DrawTooLate
    return found


async def carry_out(code: str, fingerprint: str, *, principal: Principal, now: datetime) -> DrawView:
    """Publish a draft that everybody who has to agreed to.

    Raises:
        DrawUnknown, DrawFrozen, DrawChanged, DrawTooLate
    """
    await _draft(code, now)
    row = await db.fetch_one(_PUBLISH, code, fingerprint, now)
    if row is None:
        raise DrawChanged
    published = view_of(row)
    await _open(published, now)
    await _audit(published, "draw.publish", principal, now)
    return published


async def withdraw(code: str, *, principal: Principal, now: datetime) -> DrawView:
    """Take back a draw before it starts; afterwards its promise stands.

    Raises:
        DrawUnknown, DrawFrozen, Forbidden
    """
    access.authorize(principal, Action.CAMPAIGN_EDIT)
    row = await db.fetch_one(_WITHDRAW, code, now)
    if row is None:
        raise DrawUnknown if await find(code) is None else DrawFrozen(code=code)
    withdrawn = view_of(row)
    await _audit(withdrawn, "draw.withdraw", principal, now)
    return withdrawn


async def _open(published: DrawView, now: datetime) -> None:
    zone = (await program.in_force(now)).terms.calendar
    days = list(published.draw.days(zone))
    seeds = [secrets.token_bytes(proof.SEED_BYTES) for _ in days]
    await db.execute(
        _DAYS, published.id, days, _sealed(seeds, published.id), [proof.commitment(seed) for seed in seeds]
    )
    limited = [prize for prize in published.draw.prizes if prize.stock is not None]
    await db.execute(_STOCK, published.id, [prize.code for prize in limited], [prize.stock for prize in limited])


def _sealed(seeds: Sequence[bytes], draw_id: int) -> list[bytes]:
    return [vault.seal(seed, context=seed_context(draw_id)) for seed in seeds]


def _name(principal: Principal) -> str:
    return f"staff:{principal.staff_id}" if isinstance(principal, StaffPrincipal) else type(principal).__name__


async def _audit(draw: DrawView, action: str, principal: Principal, now: datetime) -> None:
    if isinstance(principal, StaffPrincipal):
        details = {"draw": draw.code, "fingerprint": draw.fingerprint}
        await audit.record(audit.Deed(principal=principal, action=action, details=details), now=now)
