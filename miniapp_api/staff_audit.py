"""What staff were refused is on record too: written after the refused unit of work was rolled back."""

from datetime import datetime

from loyalty import db
from loyalty.access import Principal, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.errors import Refusal
from miniapp_api.endpoint import AnyEndpoint


async def note_refusal(
    principal: Principal | None,
    endpoint: AnyEndpoint,
    refusal: Refusal,
    *,
    now: datetime,
) -> None:
    """Append to the audit trail that this member of staff was refused; nothing for other callers."""
    if not isinstance(principal, StaffPrincipal) or endpoint.action is None:
        return
    async with db.unit_of_work():
        await audit.record_refusal(principal, endpoint.action.value, refusal, now=now)
