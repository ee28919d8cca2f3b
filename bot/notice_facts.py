"""What a notice says when it is sent: its words filled with facts as they are at that moment.

A row holds ids and numbers only; names, remaining points and coupons are read here, and a notice whose
subject is gone meanwhile says nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from handlers import render
from handlers.messages import Reply
from loyalty import clock
from loyalty.approvals import queries as approvals
from loyalty.coupons import queries as coupons
from loyalty.decisions import service as decisions
from loyalty.ladders import queries as ladders
from loyalty.ledger import queries as ledger
from loyalty.ledger.operations import Asset
from loyalty.members import queries as members
from loyalty.outbox.service import Claimed
from loyalty.program import queries as program
from loyalty.program.terms import Terms
from loyalty.staff import queries as staff
from loyalty.tiers import queries as tiers

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """The words for a conversation, and the facts for the fields of a platform's template."""

    reply: Reply
    facts: Facts


@dataclass(frozen=True, slots=True)
class Moment:
    """When, in which words and under which terms a notice is said."""

    now: datetime
    locale: str
    terms: Terms

    def named(self, words: Mapping[str, str]) -> str:
        """The word of this locale, or the first one there is."""
        return words.get(self.locale) or next(iter(words.values()))


Gather = Callable[[Claimed, Moment], Awaitable[Facts | None]]


async def say(message: Claimed, locale: str | None, *, now: datetime) -> Said | None:
    """The notice in `locale`; None when there is nothing to say any more."""
    moment = Moment(now, render.locale_of(locale), (await program.in_force(now)).terms)
    gathered = await GATHERED[message.notice](message, moment)
    if gathered is None:
        return None
    facts = {
        "brand": moment.named(moment.terms.brand),
        "today": clock.business_day(now, moment.terms.calendar),
        **message.params,
        **gathered,
    }
    reply = render.render(
        message.notice, moment.locale, task_id=f"notice-{message.id}", folder="notices", terms=moment.terms, **facts
    )
    return Said(reply, facts)


async def _plain(_message: Claimed, _moment: Moment) -> Facts:
    return {}


async def _tier(message: Claimed, moment: Moment) -> Facts | None:
    programme = await ladders.in_force(moment.now)
    new, old = (programme.of_tier(message.params[which]) for which in ("new", "old"))
    if new is None:
        return None
    step = new.ladder.step(message.params["new"])
    return {
        "tier": moment.named(step.names),
        "old_tier": moment.named((old or new).ladder.step(message.params["old"]).names),
        "multiplier_percent": step.multiplier_percent,
        "ladder": new.ladder,
        "until": _instant(message.params.get("until")),
    }


async def _tier_will_lower(message: Claimed, moment: Moment) -> Facts | None:
    """The date and the gap as they are now; a member who has enough meanwhile, or no such tier, is not told."""
    ladder = message.params["ladder"]
    programme = await ladders.in_force(moment.now)
    if ladder not in programme.by_code:
        return None
    standing = await tiers.standing(message.member_id or 0, at=moment.now, ladder=ladder)
    if standing.until is None or not standing.gap or standing.tier.code != message.params["tier"]:
        return None
    return {
        "tier": moment.named(standing.tier.names),
        "standing": standing,
        "missing": standing.gap,
        "days": (_last_day(standing.until, moment) - clock.business_day(moment.now, moment.terms.calendar)).days,
        "last_day": _last_day(standing.until, moment),
    }


def _instant(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)


async def _points_expiring(message: Claimed, moment: Moment) -> Facts | None:
    until = datetime.fromisoformat(message.params["until"])
    ending = await ledger.expiring(message.member_id or 0, Asset.POINTS, after=moment.now, until=until)
    points = sum(units for _, units in ending)
    if not points:
        return None
    # Lots end with a business day: the last day on which they count is the one before that instant.
    return {"points": points, "last_day": _last_day(ending[0][0], moment)}


async def _coupon_expiring(message: Claimed, moment: Moment) -> Facts | None:
    wanted = set(message.params["coupon_ids"])
    usable = await coupons.mine(message.member_id or 0, at=moment.now, status="issued", limit=coupons.PAGE_MAX)
    ending = [coupon for coupon in usable if coupon.id in wanted]
    if not ending:
        return None
    return {
        "names": [moment.named(coupon.name) for coupon in ending],
        "count": len(ending),
        "last_day": _last_day(ending[0].expires_at, moment),
    }


async def _approval(message: Claimed, moment: Moment) -> Facts | None:
    approval = await approvals.find(message.params["approval_id"])
    if approval is None:
        return None
    asker = await staff.card(approval.requested_by)
    decider = await staff.card(approval.decided_by) if approval.decided_by is not None else None
    card = None if approval.member_id is None else await members.card(approval.member_id, at=moment.now)
    return {
        "asked": approval,
        "unit": decisions.KINDS[approval.kind].unit,
        "tier": await _tier_asked(approval.payload, moment),
        "ends_at": _instant(approval.payload.get("ends_at")),
        "reason": approval.payload.get("reason", ""),
        "asker": asker.name if asker else "",
        "store": (asker.store_name or "") if asker else "",
        "decider": decider.name if decider else "",
        "approved": approval.status == "approved",
        "member": card,
        "expires": approval.expires_at.astimezone(moment.terms.calendar),
    }


async def _tier_asked(payload: Facts, moment: Moment) -> str:
    """The name of the tier that was asked for; empty when something else was."""
    if "tier" not in payload:
        return ""
    return moment.named((await ladders.in_force(moment.now)).step(payload["tier"]).names)


async def _approval_requested(message: Claimed, moment: Moment) -> Facts | None:
    facts = await _approval(message, moment)
    if facts is None or facts["asked"].status != "pending" or facts["asked"].expires_at <= moment.now:
        return None
    return facts


def _last_day(ends_at: datetime, moment: Moment) -> Any:
    local = ends_at.astimezone(moment.terms.calendar)
    return clock.business_day(ends_at - datetime.resolution, moment.terms.calendar) if local.hour == 0 else local.date()


GATHERED: Final[Mapping[str, Gather]] = {
    "tier_raised": _tier,
    "tier_lowered": _tier,
    "tier_retained": _tier,
    "tier_will_lower": _tier_will_lower,
    "account_linked": _plain,
    "member_merged": _plain,
    "phone_claimed": _plain,
    "phone_moved": _plain,
    "points_expiring": _points_expiring,
    "coupon_expiring": _coupon_expiring,
    "birthday": _plain,
    "approval_requested": _approval_requested,
    "approval_decided": _approval,
}
