"""Members come to be, register, and change what we know of them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from tortoise.exceptions import IntegrityError

from loyalty import clock, db, vault
from loyalty.errors import Conflict, NotFound, ensure
from loyalty.events import MemberRegistered, ProfileCompleted
from loyalty.members import rules
from loyalty.phones import rules as phones
from loyalty.program import queries as program
from loyalty.spine import service as spine

ROOT_KEY_VERSION: Final = 1
DEFAULT_LOCALE: Final = "zh-CN"

_CREATE: Final = """
WITH created AS (
    INSERT INTO member (id, public_id, number, status, locale, locale_chosen, channel, scene, is_minor, profiling,
                        joined_at)
    SELECT id, public_id, number, 'guest', locale, false, channel, scene, false, true, $7
    FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
         AS given(id, public_id, number, locale, channel, scene)
    ORDER BY id
)
INSERT INTO member_key (member_id, wrapped_key, root_key_version, created_at)
SELECT id, wrapped, $9, $7 FROM unnest($1::bigint[], $8::bytea[]) AS given(id, wrapped) ORDER BY id
"""
_LOCK: Final = """
SELECT m.id, m.number, m.status, m.phone_index, m.birthday_month_day, m.name_sealed IS NOT NULL AS has_name,
       k.wrapped_key
FROM member m JOIN member_key k ON k.member_id = m.id
WHERE m.id = $1 FOR UPDATE OF m
"""


class MemberGone(NotFound):
    """There is no such member, or the account was closed or merged into another."""

    code = "member.gone"


class PhoneTaken(Conflict):
    """Another member holds this number; points and coupons stay with them.

    The way out: log in on the channel where the account is and make a link code there, or claim the number,
    which moves it (and nothing else) after the cooling-off.
    """

    code = "member.phone_taken"


class BirthdaySet(Conflict):
    """A birthday is given once; only staff may correct it."""

    code = "member.birthday_set"


@dataclass(frozen=True, slots=True)
class VerifiedPhone:
    """A number in E.164 that is proven to be the member's own, and by whom."""

    number: str
    proof: Literal["wechat", "telegram", "sms", "staff"]


@dataclass(frozen=True, slots=True)
class NewMember:
    """A person seen for the first time; `id` was taken from `reserve_ids`."""

    id: int
    locale: str
    channel: str
    scene: str | None


@dataclass(frozen=True, slots=True)
class Registered:
    """The member is registered; `already` when they were before this request."""

    member_id: int
    number: str
    already: bool


@dataclass(frozen=True, slots=True)
class _Locked:
    id: int
    number: str
    status: str
    phone_index: str | None
    has_birthday: bool
    has_name: bool
    key: bytes

    def becomes_whole(self, *, phone: bool = False, name: bool = False, birthday: bool = False) -> bool:
        """Whether what is new was all that the profile lacked."""
        had = (self.phone_index is not None, self.has_name, self.has_birthday)
        has = (had[0] or phone, had[1] or name, had[2] or birthday)
        return all(has) and not all(had)


async def reserve_ids(count: int) -> list[int]:
    """Member ids for people who may turn out to be new; an unused one leaves a gap and nothing else."""
    rows = await db.fetch(
        "SELECT nextval(pg_get_serial_sequence('member', 'id')) AS id FROM generate_series(1, $1)", count
    )
    return [row["id"] for row in rows]


async def create(people: Sequence[NewMember], *, now: datetime) -> None:
    """Guests (not registered yet), each with a number and a data key of their own; one statement for all."""
    if not people:
        return
    await db.execute(
        _CREATE,
        [person.id for person in people],
        [uuid.uuid4() for _ in people],
        [rules.number_of(person.id, vault.keys().codes) for person in people],
        [person.locale for person in people],
        [person.channel for person in people],
        [person.scene for person in people],
        now,
        [_wrapped(person.id, vault.new_data_key()) for person in people],
        ROOT_KEY_VERSION,
    )


async def register(
    member_id: int,
    *,
    phone: VerifiedPhone | None,
    channel: str,
    now: datetime,
    name: str | None = None,
    birthday: date | None = None,
) -> Registered:
    """Make a guest a member (入会); a registered member keeps what they have and gains what is new.

    A number proves nothing about points: a new identity with an old number inherits nothing.

    Raises:
        MemberGone: closed, merged or unknown.
        PhoneTaken: the number is another member's.
        NameRefused, BirthdayRefused, BirthdaySet: see `rename` and `set_birthday`.
    """
    member = await _lock(member_id)
    if phone is not None:
        await _bind_phone(member, phone, now=now)
    if name is not None:
        await _rename(member, name)
    if birthday is not None:
        await _set_birthday(member, birthday, now=now)
    await _tell_when_whole(member, now, phone=phone is not None, name=name is not None, birthday=birthday is not None)
    became = await db.execute(
        "UPDATE member SET status = 'active', registered_at = $2 WHERE id = $1 AND status = 'guest'", member_id, now
    )
    if became:
        event = MemberRegistered(member_id=member_id, at=now, channel=channel, with_phone=phone is not None)
        await spine.record(event, now=now)
    return Registered(member_id, member.number, already=not became)


async def bind_phone(member_id: int, phone: VerifiedPhone, *, now: datetime) -> None:
    """Give the member a proven number, in place of an earlier one.

    Raises:
        MemberGone, PhoneTaken.
    """
    member = await _lock(member_id)
    await _bind_phone(member, phone, now=now)
    await _tell_when_whole(member, now, phone=True)


async def release_phone(member_id: int) -> None:
    """Take the number off a member who no longer has it; everything else of theirs stays."""
    await db.execute(
        "UPDATE member SET phone_sealed = NULL, phone_index = NULL, phone_masked = NULL, phone_verified_at = NULL"
        " WHERE id = $1",
        member_id,
    )


async def data_key(member_id: int) -> bytes:
    """The key that seals this member's values.

    Raises:
        MemberGone: unknown, or erased.
    """
    wrapped = await db.fetch_value("SELECT wrapped_key FROM member_key WHERE member_id = $1", member_id)
    if wrapped is None:
        raise MemberGone
    return unwrapped(member_id, wrapped)


async def rename(member_id: int, name: str, *, now: datetime) -> None:
    """Store a name, byte for byte.

    Raises:
        MemberGone.
        NameRefused: empty, too long, or with characters that deceive the reader.
    """
    member = await _lock(member_id)
    await _rename(member, name)
    await _tell_when_whole(member, now, name=True)


async def set_birthday(member_id: int, birthday: date, *, now: datetime) -> None:
    """Store a birthday, once: its gift must not be moved to tomorrow.

    Raises:
        MemberGone.
        BirthdayRefused: in the future or impossibly long ago.
        BirthdaySet: another one is stored.
    """
    member = await _lock(member_id)
    await _set_birthday(member, birthday, now=now)
    await _tell_when_whole(member, now, birthday=True)


async def set_profiling(member_id: int, *, allowed: bool) -> None:
    """Whether marketing to this member may depend on behaviour (个性化推荐).

    Raises:
        MemberGone.
    """
    await _lock(member_id)
    await db.execute("UPDATE member SET profiling = $2 WHERE id = $1", member_id, allowed)


async def set_locale(member_id: int, locale: str) -> None:
    """The language a member chose; from now on it counts on every channel, over what a platform guesses."""
    ensure(locale in rules.LOCALES, "callers offer only our languages")
    await db.execute("UPDATE member SET locale = $2, locale_chosen = true WHERE id = $1", member_id, locale)


async def _lock(member_id: int) -> _Locked:
    row = await db.fetch_one(_LOCK, member_id)
    if row is None or row["status"] in {"closed", "merged"} or row["wrapped_key"] is None:
        raise MemberGone
    return _Locked(
        id=row["id"],
        number=row["number"],
        status=row["status"],
        phone_index=row["phone_index"],
        has_birthday=row["birthday_month_day"] is not None,
        has_name=row["has_name"],
        key=unwrapped(row["id"], row["wrapped_key"]),
    )


async def _tell_when_whole(
    member: _Locked, now: datetime, *, phone: bool = False, name: bool = False, birthday: bool = False
) -> None:
    if member.becomes_whole(phone=phone, name=name, birthday=birthday):
        await spine.record(ProfileCompleted(member_id=member.id, at=now), now=now)


async def _bind_phone(member: _Locked, phone: VerifiedPhone, *, now: datetime) -> None:
    index = phone_index(phone.number)
    if index == member.phone_index:
        return
    try:
        # The unique index waits for a rival's transaction; losing to it is a taken number, not a failed request.
        async with db.attempt():
            await db.execute(
                "UPDATE member SET phone_sealed = $2, phone_index = $3, phone_masked = $4, phone_verified_at = $5"
                " WHERE id = $1",
                member.id,
                sealed(member.id, "phone", phone.number, member.key),
                index,
                phones.masked(phone.number),
                now,
            )
    except IntegrityError as taken:
        ensure(db.constraint_of(taken) == "member_phone_once", "only the number can be taken")
        raise PhoneTaken(phone=phones.masked(phone.number)) from None


async def _rename(member: _Locked, name: str) -> None:
    checked = rules.checked_name(name)
    await db.execute(
        "UPDATE member SET name_sealed = $2, name_masked = $3 WHERE id = $1",
        member.id,
        sealed(member.id, "name", checked, member.key),
        rules.masked_name(checked),
    )


async def _set_birthday(member: _Locked, birthday: date, *, now: datetime) -> None:
    today = clock.business_day(now, (await program.in_force(now)).terms.calendar)
    rules.checked_birthday(birthday, today)
    if member.has_birthday:
        raise BirthdaySet
    await db.execute(
        "UPDATE member SET birthday_sealed = $2, birthday_month_day = $3, is_minor = $4 WHERE id = $1",
        member.id,
        sealed(member.id, "birthday", birthday.isoformat(), member.key),
        rules.month_day(birthday),
        rules.is_minor(birthday, today),
    )


def phone_index(number: str) -> str:
    """The blind index by which an E.164 number is found."""
    return vault.blind_index("phone", number)


def sealed(member_id: int, field: str, value: str, key: bytes) -> bytes:
    """`value` sealed for this column of this member."""
    return vault.seal(value.encode(), context=f"member.{field}_sealed:{member_id}", key=key)


def unsealed(member_id: int, field: str, envelope: bytes, key: bytes) -> str:
    """What `sealed` sealed."""
    return vault.unseal(envelope, context=f"member.{field}_sealed:{member_id}", key=key).decode()


def unwrapped(member_id: int, wrapped: bytes) -> bytes:
    """A member's data key."""
    return vault.unseal(wrapped, context=f"member_key.wrapped_key:{member_id}")


def _wrapped(member_id: int, key: bytes) -> bytes:
    return vault.seal(key, context=f"member_key.wrapped_key:{member_id}")
