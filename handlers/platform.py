"""What platforms tell about no person: reports and pushes that membership does not act on."""

from datetime import datetime

from handlers.messages import SILENT, Inbound, Reply, Unhandled
from loyalty.inbox import service as inbox


async def unhandled(inbound: Inbound, now: datetime) -> Reply:  # noqa: ARG001 - all platform handlers take the time
    """Keep it, so that nothing a platform told us is lost."""
    if isinstance(inbound.content, Unhandled):
        source = f"{inbound.sender.channel}/{inbound.sender.account}"
        await inbox.keep_fields(source, inbound.key, inbound.content.fields)
    return SILENT
