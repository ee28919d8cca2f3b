"""What facts earn that nobody waits for: joining, a whole profile, having brought a friend."""

from collections.abc import Sequence
from datetime import datetime

from loyalty.earning import occasions
from loyalty.spine.relaying import Recorded


async def of_registration(events: Sequence[Recorded], now: datetime) -> None:
    """Who registered gets what rules give for it, and whoever brought them as well."""
    told = [occasions.Registered(event.member_id, event.at, event.data) for event in events if event.member_id]
    await occasions.registered(told, now=now)


async def of_profile(events: Sequence[Recorded], now: datetime) -> None:
    """Who told everything that the profile asks for."""
    await occasions.profile_completed([(event.member_id, event.at) for event in events if event.member_id], now=now)
