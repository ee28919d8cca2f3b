"""Who is speaking: channel identities lead to members, and a person met for the first time becomes a guest.

A pair of channel identities belongs to one person when the platform vouches for it with a unionid of the
same open-platform family, or when the person proves it with a link code. A phone number never joins members.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from loyalty import bell, db, vault
from loyalty.attempts import service as attempts
from loyalty.errors import Conflict, unreachable
from loyalty.events import ChannelFollowed, ChannelLeft, Event, MemberJoined
from loyalty.identity import rules as link_codes
from loyalty.ledger import service as ledger
from loyalty.members import rules
from loyalty.members import service as members
from loyalty.merges import service as merges
from loyalty.merges.service import Merged
from loyalty.outbox import service as outbox
from loyalty.spine import service as spine

IdentityState = Literal["met", "followed", "left", "blocked"]
TOUCH_AFTER: Final = timedelta(hours=1)
UNION_TRIES_MAX: Final = 3
TELL_WITHIN: Final = timedelta(days=3)

Place = tuple[str, str, str]
Union = tuple[str, str]

# LATERAL with LIMIT keeps to the unique index, also while a young table has no statistics.
_READ: Final = """
SELECT i.id, i.channel, i.app_id, i.external_id, i.union_id, i.last_seen_at, i.member_id, m.status,
       CASE WHEN m.locale_chosen THEN m.locale ELSE coalesce(i.locale, m.locale) END AS locale,
       EXISTS (SELECT 1 FROM dialogue d WHERE d.key = 'identity:' || i.id AND d.expires_at > $4) AS in_dialogue
FROM unnest($1::text[], $2::text[], $3::text[]) AS given(c, a, e) CROSS JOIN LATERAL (
    SELECT * FROM channel_identity WHERE (channel, app_id, external_id) = (given.c, given.a, given.e) LIMIT 1
) AS i JOIN member m ON m.id = i.member_id
"""
_TOUCH: Final = """
UPDATE channel_identity i SET last_seen_at = $2
FROM (SELECT id FROM channel_identity WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED) AS seen
WHERE i.id = seen.id
"""
_CLAIM_UNIONS: Final = """
INSERT INTO union_link (family, union_id, member_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given(family, union_id, member_id)
ORDER BY family, union_id
ON CONFLICT (family, union_id) DO NOTHING
"""
_READ_UNIONS: Final = """
SELECT family, union_id, member_id FROM union_link
WHERE (family, union_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY family, union_id FOR SHARE
"""
_INSERT: Final = """
INSERT INTO channel_identity (member_id, channel, app_id, external_id, account, union_family, union_id, state, scene,
                              locale, first_seen_at, last_seen_at)
SELECT member_id, channel, app_id, external_id, account, union_family, union_id, 'met', scene, locale, $10, $10
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[])
     AS given(member_id, channel, app_id, external_id, account, union_family, union_id, scene, locale)
ORDER BY channel, app_id, external_id
ON CONFLICT (channel, app_id, external_id) DO NOTHING
RETURNING channel, app_id, external_id, member_id
"""
# An identity keeps the first unionid it was vouched for; another one later is not evidence of the same person.
_CONNECT: Final = """
UPDATE channel_identity i SET union_family = link.family, union_id = link.union_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
         AS given(channel, app_id, external_id, family, union_id)
JOIN union_link link USING (family, union_id)
WHERE i.channel = given.channel AND i.app_id = given.app_id AND i.external_id = given.external_id AND i.union_id IS NULL
RETURNING i.member_id, link.member_id AS owner_id
"""
_CHANGE_STATE: Final = """
UPDATE channel_identity SET state = $2, scene = coalesce($3, scene), last_seen_at = $4,
    union_asked_at = CASE WHEN $2 = 'followed' AND union_id IS NULL THEN NULL ELSE union_asked_at END
WHERE id = $1 AND (state <> $2 OR $2 = 'followed')
RETURNING member_id, channel
"""
_REDEEM: Final = """
UPDATE link_code SET used_at = $2 WHERE code_hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING member_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody as a platform names them in one message or login.

    `union_id` only when the platform vouches for it here and now; `union_family` names the open-platform
    account (开放平台) that issued it, where an installation has apps under more than one.
    """

    channel: str
    account: str
    app_id: str
    external_id: str
    union_id: str | None = None
    union_family: str = ""
    locale: str | None = None
    scene: str | None = None

    @property
    def place(self) -> Place:
        """What identifies the person on the platform: an id means nothing without its app."""
        return (self.channel, self.app_id, self.external_id)

    @property
    def union(self) -> Union | None:
        """The vouched unionid with its family."""
        return (self.union_family, self.union_id) if self.union_id else None


@dataclass(frozen=True, slots=True)
class Person:
    """Who a contact is to us. `is_new` is true once: for the first contact of the call that created it."""

    identity_id: int
    member_id: int
    member_status: str
    locale: str
    is_new: bool
    in_dialogue: bool

    @property
    def is_registered(self) -> bool:
        """False for guests, who have an account but have not joined."""
        return self.member_status != "guest"


@dataclass(frozen=True, slots=True)
class IssuedLinkCode:
    """A link code as it is shown, once; only its hash is kept."""

    code: str
    expires_at: datetime


class WrongLinkCode(Conflict):
    """The link code is wrong, used or over; which one is not told."""

    code = "link.wrong_code"


@dataclass(frozen=True, slots=True)
class _Known:
    person: Person
    union_id: str | None
    last_seen_at: datetime


async def resolve_many(senders: Sequence[Contact], *, now: datetime) -> list[Person]:
    """The person behind each contact, in order; unknown ones become guests, once, however many ask at once.

    One statement when everybody is known and was seen within the hour, two otherwise.
    """
    contacts = _merged_repeats(senders)
    known = await _read(contacts, now=now)
    strangers = [contact for place, contact in contacts.items() if place not in known]
    vouched = [c for place, c in contacts.items() if place in known and c.union and known[place].union_id is None]
    created: frozenset[Place] = frozenset()
    if strangers or vouched:
        created = await _admit(strangers, {contact: known[contact.place] for contact in vouched}, now=now)
        known = await _read(contacts, now=now)
    await _touch(known.values(), now=now)
    return _in_order(senders, known, created)


async def resolve(sender: Contact, *, now: datetime) -> Person:
    """`resolve_many` of one."""
    return (await resolve_many([sender], now=now))[0]


def _merged_repeats(senders: Sequence[Contact]) -> dict[Place, Contact]:
    contacts: dict[Place, Contact] = {}
    for sender in senders:
        earlier = contacts.get(sender.place)
        if earlier is None or (earlier.union is None and sender.union is not None):
            contacts[sender.place] = sender
    return contacts


def _in_order(senders: Sequence[Contact], known: Mapping[Place, _Known], created: frozenset[Place]) -> list[Person]:
    fresh = set(created)
    people = []
    for sender in senders:
        person = known[sender.place].person
        people.append(replace(person, is_new=True) if sender.place in fresh else person)
        fresh.discard(sender.place)
    return people


async def _read(contacts: Mapping[Place, Contact], *, now: datetime) -> dict[Place, _Known]:
    rows = await db.fetch(_READ, *_columns(contacts), now)
    return {
        (row["channel"], row["app_id"], row["external_id"]): _Known(
            person=Person(row["id"], row["member_id"], row["status"], row["locale"], False, row["in_dialogue"]),
            union_id=row["union_id"],
            last_seen_at=row["last_seen_at"],
        )
        for row in rows
    }


def _columns(places: Iterable[Place]) -> tuple[list[str], list[str], list[str]]:
    ordered = list(places)
    return ([place[0] for place in ordered], [place[1] for place in ordered], [place[2] for place in ordered])


async def _touch(known: Iterable[_Known], *, now: datetime) -> None:
    stale = [entry.person.identity_id for entry in known if now - entry.last_seen_at >= TOUCH_AFTER]
    if stale:
        await db.execute(_TOUCH, stale, now)


async def _admit(strangers: Sequence[Contact], vouched: Mapping[Contact, _Known], *, now: datetime) -> frozenset[Place]:
    """Bring in new identities, and connect known ones to the unionid that a platform now vouches for."""
    ids = await members.reserve_ids(len(strangers)) if strangers else []
    wished = dict(zip(strangers, ids, strict=True))
    wished |= {contact: entry.person.member_id for contact, entry in vouched.items()}
    owners = await _union_owners(wished)
    created = await _insert({contact: owners.get(contact.union, wished[contact]) for contact in strangers}, now=now)
    used = {*created.values(), *owners.values()} & set(ids)
    await _create_members([c for c in strangers if wished[c] in used], wished, now=now)
    if any(contact.union is None for contact in strangers):
        bell.ring("unions")
    await _connect({**{c: c.union for c in vouched}, **{c: c.union for c in strangers if c.place not in created}}, now)
    return frozenset(created)


async def _union_owners(wished: Mapping[Contact, int]) -> dict[Union | None, int]:
    """The member of each vouched unionid: the one who has it, or else the one wished for the contact.

    The share lock keeps a merge or erasure of that member from passing between this answer and its use.
    """
    wanted = {contact.union: member_id for contact, member_id in reversed(list(wished.items())) if contact.union}
    owners: dict[Union | None, int] = {}
    for _ in range(UNION_TRIES_MAX):
        missing = [union for union in wanted if union and union not in owners]
        if not missing:
            return owners
        families, ids = [family for family, _ in missing], [union_id for _, union_id in missing]
        await db.execute(_CLAIM_UNIONS, families, ids, [wanted[union] for union in missing])
        for row in await db.fetch(_READ_UNIONS, families, ids):
            owners[row["family"], row["union_id"]] = row["member_id"]
    return unreachable("a unionid that was claimed is there, or was erased and can be claimed again")


async def _insert(owned: Mapping[Contact, int], *, now: datetime) -> dict[Place, int]:
    """New identities by place; those that somebody else inserted meanwhile are left out."""
    if not owned:
        return {}
    rows = await db.fetch(
        _INSERT,
        list(owned.values()),
        *_columns(contact.place for contact in owned),
        [contact.account for contact in owned],
        [contact.union_family if contact.union else None for contact in owned],
        [contact.union_id for contact in owned],
        [rules.kept_scene(contact.scene) for contact in owned],
        [rules.locale_of(contact.locale) for contact in owned],
        now,
    )
    return {(row["channel"], row["app_id"], row["external_id"]): row["member_id"] for row in rows}


async def _create_members(newcomers: Sequence[Contact], ids: Mapping[Contact, int], *, now: datetime) -> None:
    if not newcomers:
        return
    people = [
        members.NewMember(
            ids[c], rules.locale_of(c.locale) or members.DEFAULT_LOCALE, c.channel, rules.kept_scene(c.scene)
        )
        for c in newcomers
    ]
    await members.create(people, now=now)
    await ledger.open_accounts([person.id for person in people], now=now)
    await spine.record(
        *(MemberJoined(member_id=p.id, at=now, channel=p.channel, scene=p.scene) for p in people), now=now
    )


async def _connect(vouched: Mapping[Contact, Union | None], now: datetime) -> None:
    """Write the vouched unionid down; where it shows that two members are one person, join them."""
    unions = {contact: union for contact, union in vouched.items() if union}
    if not unions:
        return
    rows = await db.fetch(
        _CONNECT, *_columns(c.place for c in unions), [u[0] for u in unions.values()], [u[1] for u in unions.values()]
    )
    for row in sorted(rows, key=lambda row: (row["member_id"], row["owner_id"])):
        await merges.join(row["member_id"], row["owner_id"], reason="unionid", now=now)


async def union_asked(identity_id: int, *, now: datetime) -> None:
    """The platform was asked for the unionid of this person; it is not asked again until they follow anew."""
    await db.execute("UPDATE channel_identity SET union_asked_at = $2 WHERE id = $1", identity_id, now)


async def followed(identity_id: int, *, scene: str | None, now: datetime) -> None:
    """The person follows, started the bot or unblocked it: they may be written to again."""
    await _change_state(identity_id, "followed", scene=rules.kept_scene(scene), now=now)


async def left(identity_id: int, *, now: datetime) -> None:
    """The person unfollowed: nothing may be sent there any more. The member and what they own stay."""
    await _change_state(identity_id, "left", scene=None, now=now)


async def blocked(identity_id: int, *, now: datetime) -> None:
    """The person blocked us, as a failed send or the platform told; treated as leaving."""
    await _change_state(identity_id, "blocked", scene=None, now=now)


async def _change_state(identity_id: int, state: IdentityState, *, scene: str | None, now: datetime) -> None:
    row = await db.fetch_one(_CHANGE_STATE, identity_id, state, scene, now)
    if row is None:
        return
    event: Event
    if state == "followed":
        bell.ring("unions")
        event = ChannelFollowed(member_id=row["member_id"], at=now, channel=row["channel"], scene=scene)
    else:
        event = ChannelLeft(member_id=row["member_id"], at=now, channel=row["channel"])
    await spine.record(event, now=now)


async def issue_link_code(member_id: int, *, now: datetime) -> IssuedLinkCode:
    """A code to type on another channel within ten minutes; an earlier one of the member stops working.

    Raises:
        MemberGone: closed, merged or unknown.
    """
    living = await db.fetch_value(
        "SELECT id FROM member WHERE id = $1 AND status NOT IN ('closed', 'merged') FOR UPDATE", member_id
    )
    if living is None:
        raise members.MemberGone
    await db.execute("DELETE FROM link_code WHERE member_id = $1 AND used_at IS NULL", member_id)
    code = link_codes.new()
    await db.execute(
        "INSERT INTO link_code (code_hash, member_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        link_codes.hashed(code, vault.keys().codes),
        member_id,
        now,
        now + link_codes.LIFETIME,
    )
    return IssuedLinkCode(link_codes.shown(code), now + link_codes.LIFETIME)


async def redeem_link_code(typed: str, identity_id: int, *, now: datetime) -> Merged | WrongLinkCode:
    """Prove that the person behind `identity_id` is the member who was given the code: the two become one.

    A wrong code is returned, not raised, because the miss must be committed.

    Raises:
        TooManyMisses: this identity guessed too often.
        MemberGone: one of the two accounts is closed.
    """
    actor = f"link_code:identity:{identity_id}"
    await attempts.refuse_if_locked(actor, now=now)
    member_id = await db.fetch_value(_REDEEM, link_codes.hashed(link_codes.plain(typed), vault.keys().codes), now)
    if member_id is None:
        await attempts.count_miss(actor, now=now)
        return WrongLinkCode()
    own_id = await db.fetch_value("SELECT member_id FROM channel_identity WHERE id = $1", identity_id)
    if own_id is None:
        raise members.MemberGone
    merged = await merges.join(own_id, member_id, reason="link_code", now=now)
    await _tell_linked(merged, now=now)
    return merged


async def _tell_linked(merged: Merged, *, now: datetime) -> None:
    """Whoever was talked out of a code learns of it where their account has always been."""
    if merged.merge_id is None:
        return
    notice = outbox.Notice(
        key=f"account_linked:{merged.merge_id}",
        notice="account_linked",
        send_class="service_notice",
        purpose=outbox.TRANSACTION,
        member_id=merged.survivor_id,
        due_at=now,
        give_up_at=now + TELL_WITHIN,
    )
    await outbox.queue(notice, now=now)


async def forget_link_codes(*, now: datetime, batch_max: int) -> int:
    """Drop link codes that are over, at most `batch_max`; how many went."""
    return await db.execute(
        "DELETE FROM link_code WHERE code_hash IN (SELECT code_hash FROM link_code WHERE expires_at <= $1 LIMIT $2)",
        now,
        batch_max,
    )
