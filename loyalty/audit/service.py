"""Writing the audit trail, in the transaction of what it tells about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, assert_never

import orjson

from loyalty import db
from loyalty.access import (
    NOTHING,
    MemberPrincipal,
    PartnerPrincipal,
    Principal,
    Resource,
    StaffPrincipal,
    SystemPrincipal,
)
from loyalty.errors import Refusal

REASON_LENGTH_MAX: Final = 200

Outcome = Literal["done", "asked", "refused"]

# What the chain has to reach is noted beside, and nobody waits for anybody (`loyalty.audit.chain`).
_RECORD = """
WITH written AS (
INSERT INTO audit_entry (at, actor_kind, actor_id, action, member_id, store_id, outcome, reason, details)
SELECT $1, actor_kind, actor_id, action, member_id, store_id, outcome, reason, details::jsonb
FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[])
     WITH ORDINALITY
     AS given(actor_kind, actor_id, action, member_id, store_id, outcome, reason, details, place)
ORDER BY place
RETURNING id
)
INSERT INTO audit_pending (id) SELECT id FROM written
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a principal did, asked for, or was refused. `details` holds ids and amounts, never personal values."""

    principal: Principal
    action: str
    outcome: Outcome = "done"
    member_id: int | None = None
    store_id: int | None = None
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


async def record(*deeds: Deed, now: datetime) -> None:
    """Append one row per deed."""
    if not deeds:
        return
    actors = [actor_of(deed.principal) for deed in deeds]
    await db.execute(
        _RECORD,
        now,
        [kind for kind, _ in actors],
        [number for _, number in actors],
        [deed.action for deed in deeds],
        [deed.member_id for deed in deeds],
        [deed.store_id for deed in deeds],
        [deed.outcome for deed in deeds],
        [deed.reason[:REASON_LENGTH_MAX] for deed in deeds],
        [orjson.dumps(_details(deed)).decode() for deed in deeds],
    )


async def record_refusal(
    principal: Principal, action: str, refusal: Refusal, *, resource: Resource = NOTHING, now: datetime
) -> None:
    """Append that `principal` was refused; for edges, in a unit of work of its own after the refused one ended."""
    await record(
        Deed(
            principal=principal,
            action=action,
            outcome="refused",
            member_id=resource.member_id,
            store_id=resource.store_id,
            reason=refusal.code,
        ),
        now=now,
    )


def actor_of(principal: Principal) -> tuple[str, int | None]:
    """Kind and number of whoever acted; the product itself has no number."""
    match principal:
        case StaffPrincipal():
            return "staff", principal.staff_id
        case MemberPrincipal():
            return "member", principal.member_id
        case PartnerPrincipal():
            return "partner", principal.partner_id
        case SystemPrincipal():
            return "system", None
        case _:
            assert_never(principal)


def _details(deed: Deed) -> Mapping[str, Any]:
    if isinstance(deed.principal, SystemPrincipal):
        return {"by": deed.principal.name, **deed.details}
    return dict(deed.details)
