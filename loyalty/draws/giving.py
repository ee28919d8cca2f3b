"""What is won becomes the member's: points and coupons at once, goods when a clerk hands them over."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from loyalty import access, codes, db
from loyalty.access import Action, Resource, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.coupon_templates import queries as templates
from loyalty.coupons import service as coupons
from loyalty.coupons.service import Claimed, ClaimRequest
from loyalty.draws.queries import DrawView, prize_of
from loyalty.draws.rules import CouponPrize, HandedOver, Nothing, PointsPrize, Prize
from loyalty.errors import Conflict, NotFound, ensure
from loyalty.ledger.service import Asset, Grant, Posted
from loyalty.program import queries as program
from loyalty.program import validity
from loyalty.tiers import service as tiers

CODE_USE: Final = "draw_win"
Drawing = tuple[int, int, Prize]
"""A member, the record of their draw, and the prize it brought."""

_KEEP: Final = """
INSERT INTO draw_win (id, draw_id, member_id, prize, status, at)
SELECT id, $1, member_id, prize, status, $2
FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[]) AS given(id, member_id, prize, status)
"""
_HAND_OVER: Final = """
UPDATE draw_win SET status = 'handed_over', handed_over_at = $2, handed_over_by = $3, store_id = $4
WHERE id = $1 AND status = 'waiting' RETURNING member_id, prize
"""
_WIN: Final = """
SELECT w.member_id, w.status, w.handed_over_at, d.document FROM draw_win w JOIN draw d ON d.id = w.draw_id
WHERE w.id = $1
"""


class WinUnknown(NotFound):
    """No such prize."""

    code = "draws.win_unknown"


class AlreadyHandedOver(Conflict):
    """The prize was handed over before, at `at`."""

    code = "draws.already_handed_over"


def code_of(win_id: int) -> str:
    """The code that a winner shows in the store."""
    return codes.encode(win_id, use=CODE_USE)


async def give(found: DrawView, drawings: Sequence[Drawing], *, now: datetime) -> None:
    """Give what was won. A coupon whose template has none left is owed, and staff see that."""
    won = [drawing for drawing in drawings if not isinstance(drawing[2].award, Nothing)]
    if not won:
        return
    await _give_points(found, won, now)
    owed = await _give_coupons(won, now)
    await db.execute(
        _KEEP,
        found.id,
        now,
        [record_id for _, record_id, _ in won],
        [member_id for member_id, _, _ in won],
        [prize.code for _, _, prize in won],
        [_status(record_id, prize, owed) for _, record_id, prize in won],
    )


def _status(record_id: int, prize: Prize, owed: set[int]) -> str:
    if record_id in owed:
        return "owed"
    return "waiting" if isinstance(prize.award, HandedOver) else "given"


async def _give_points(found: DrawView, won: Sequence[Drawing], now: datetime) -> None:
    terms = (await program.in_force(now)).terms
    lasts = validity.of_points(terms, now)
    batch = [
        Grant(
            member_id=member_id,
            asset=Asset.POINTS,
            amount=prize.award.points,
            key=f"draw_win:{record_id}",
            kind="draw_win",
            occurred_at=now,
            reason={"draw": found.code, "prize": prize.code},
            expires_at=lasts.expires_at,
            idle=lasts.idle,
        )
        for member_id, record_id, prize in won
        if isinstance(prize.award, PointsPrize)
    ]
    for outcome in await tiers.post(batch, now=now):
        ensure(isinstance(outcome, Posted) and not outcome.replayed, "a record that was just written gave nothing yet")


async def _give_coupons(won: Sequence[Drawing], now: datetime) -> set[int]:
    """Issue the coupons; the records whose coupon could not be issued."""
    wanted = [
        (member_id, record_id, prize.award)
        for member_id, record_id, prize in won
        if isinstance(prize.award, CouponPrize)
    ]
    if not wanted:
        return set()
    found = {code: await templates.by_code(code) for code in sorted({award.template for _, _, award in wanted})}
    claims = []
    for member_id, record_id, award in wanted:
        template = found[award.template]
        ensure(template is not None, "a draw is published with templates that exist, and none is ever removed")
        claims.append(
            ClaimRequest(
                member_id=member_id, template_id=template.id if template else 0, key=f"draw:{record_id}", origin="draw"
            )
        )
    outcomes = await coupons.claim(claims, now=now)
    return {
        record_id
        for (_, record_id, _), outcome in zip(wanted, outcomes, strict=True)
        if not isinstance(outcome, Claimed)
    }


async def hand_over(code: str, *, principal: StaffPrincipal, now: datetime) -> Prize:
    """Hand a prize over against its code, once.

    Raises:
        CodeMistyped, WinUnknown, AlreadyHandedOver, Forbidden, OwnMembership
    """
    win_id = codes.decode(code, use=CODE_USE)
    row = await db.fetch_one(_WIN, win_id)
    if row is None or row["status"] not in {"waiting", "handed_over"}:
        raise WinUnknown
    resource = Resource(store_id=principal.store_id, member_id=row["member_id"])
    access.authorize(principal, Action.COUPON_REDEEM, resource)
    done = await db.fetch_one(_HAND_OVER, win_id, now, principal.staff_id, principal.store_id)
    if done is None:
        raise AlreadyHandedOver(at=row["handed_over_at"])
    await audit.record(
        audit.Deed(
            principal=principal,
            action="draw.hand_over",
            member_id=done["member_id"],
            store_id=principal.store_id,
            details={"win_id": win_id, "prize": done["prize"]},
        ),
        now=now,
    )
    return prize_of(row["document"], done["prize"])
