"""The chain over the audit trail, for whoever has to trust it: its heads, and whether it holds."""

from dataclasses import dataclass
from datetime import date

from loyalty.access import Action
from loyalty.audit import chain
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Call, Endpoint, NoBody, NoQuery, Summary

DAYS_CHECKED = 2


@dataclass(frozen=True, slots=True)
class ChainHead:
    """How far the chain went when a day was over; `day` is None for the present head."""

    day: date | None
    position: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditProof:
    """The heads, newest first, to compare with those kept elsewhere; `waiting` entries are not sealed yet.

    Everything after position `checked_from` was computed again; `broken` names what does not fit.
    """

    holds: bool
    waiting: int
    heads: tuple[ChainHead, ...]
    checked_from: int
    broken: tuple[str, ...]


async def audit_proof(_call: Call[NoBody, NoQuery]) -> AuditProof:
    """Check the last days of the chain; `xiaohui audit verify` checks all of it."""
    days, head = await chain.days(), await chain.head()
    since = days[DAYS_CHECKED - 1].position if len(days) >= DAYS_CHECKED else 0
    broken = await chain.broken(since=since)
    heads = [ChainHead(None, head.position, head.hash)] if head is not None else []
    heads += [ChainHead(each.day, each.position, each.hash) for each in days]
    return AuditProof(not broken, await chain.waiting(), tuple(heads), since, tuple(broken))


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/console/audit/proof",
        run=audit_proof,
        audience=Audience.CONSOLE,
        action=Action.AUDIT_READ,
        result=AuditProof,
        summary=Summary("审计链的链头与核对结果", "Heads of the audit trail's chain, and whether it holds"),
    ),
)
