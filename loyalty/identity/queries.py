"""Reading channel identities without meeting anybody."""

from dataclasses import dataclass

from loyalty import db


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who was met before on this channel."""

    identity_id: int
    member_id: int


async def has_channel(member_id: int) -> bool:
    """Whether the member is known on any channel."""
    found: bool = await db.fetch_value("SELECT EXISTS (SELECT 1 FROM channel_identity WHERE member_id = $1)", member_id)
    return found


async def find(channel: str, app_id: str, external_id: str) -> Known | None:
    """Whom the platform names so; None when we never met them."""
    row = await db.fetch_one(
        "SELECT id, member_id FROM channel_identity WHERE channel = $1 AND app_id = $2 AND external_id = $3",
        channel,
        app_id,
        external_id,
    )
    return None if row is None else Known(row["id"], row["member_id"])


async def external_id_on(member_id: int, app_id: str) -> str | None:
    """Who the member is on one app of the brand (an openid is another one on each); None when never met there."""
    name: str | None = await db.fetch_value(
        "SELECT external_id FROM channel_identity WHERE member_id = $1 AND app_id = $2"
        " ORDER BY last_seen_at DESC LIMIT 1",
        member_id,
        app_id,
    )
    return name


async def channel_of(identity_id: int) -> str | None:
    """The channel of an identity; None when it is gone."""
    channel: str | None = await db.fetch_value("SELECT channel FROM channel_identity WHERE id = $1", identity_id)
    return channel


@dataclass(frozen=True, slots=True)
class Unasked:
    """Somebody whose unionid the platform has not been asked for."""

    identity_id: int
    channel: str
    account: str
    app_id: str
    external_id: str


async def union_unasked(channel: str, account: str, *, limit: int) -> list[Unasked]:
    """People of one account without a unionid whose platform was not asked yet, oldest first."""
    rows = await db.fetch(
        "SELECT id AS identity_id, channel, account, app_id, external_id FROM channel_identity"
        " WHERE channel = $1 AND account = $2 AND union_id IS NULL AND union_asked_at IS NULL ORDER BY id LIMIT $3",
        channel,
        account,
        limit,
    )
    return [Unasked(**dict(row)) for row in rows]
