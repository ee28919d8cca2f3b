"""Who is who on which platform: every identity follows from the person's id, so the same id is the same human again."""

import base64
import hashlib
import re
from collections.abc import Iterable

from bot.sandbox.config import Account, PersonSeed, WecomAccount
from bot.sandbox.world import Person, World

PERSON_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
OPEN_PLATFORM = "the one open-platform account all apps are bound to"


def _derive(length: int, *parts: str) -> str:
    digest = hashlib.sha512("\0".join(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:length]


def openid(app_id: str, person_id: str) -> str:
    """The person's openid in one app, 28 characters."""
    return "o" + _derive(27, app_id, person_id)


def virtual_openid(app_id: str, person_id: str) -> str:
    """The openid of WeChat's virtual user in snapshot mode: it is nobody's."""
    return "o" + _derive(27, app_id, person_id, "snapshot")


def unionid(person_id: str) -> str:
    """The same in every app bound to the open-platform account."""
    return "oU" + _derive(26, OPEN_PLATFORM, person_id)


def external_userid(corp_id: str, person_id: str) -> str:
    """A WeChat user as customer of a corporation."""
    return "wm" + _derive(30, corp_id, person_id)


def telegram_id(person_id: str) -> int:
    """A ten-digit Telegram user id, beyond 32 bits as recent accounts have."""
    return 5_000_000_000 + int.from_bytes(hashlib.sha256(person_id.encode()).digest()[:4], "big") % 1_000_000_000


class People:
    """The people of a world, findable by any identity."""

    def __init__(self, world: World, accounts: Iterable[Account]) -> None:
        self._world = world
        self._accounts = tuple(accounts)
        self._by_identity: dict[str, str] = {}
        self.reindex()

    def reindex(self) -> None:
        """Rebuild the look-ups after the world was replaced."""
        self._by_identity = {identity: p.id for p in self._world.people.values() for identity in self.identities(p)}

    def identities(self, person: Person) -> list[str]:
        """Every look-up key of a person."""
        keys = [unionid(person.id), f"telegram:{telegram_id(person.id)}"]
        for account in self._accounts:
            if isinstance(account, WecomAccount):
                keys.append(external_userid(account.corp_id, person.id))
            elif account.channel in ("wechat_oa", "wechat_mini"):
                keys.append(openid(account.app_id, person.id))
        if person.phone:
            keys.append(f"phone:{person.phone}")
        if person.wecom_userid:
            keys.append(f"wecom:{person.wecom_userid.lower()}")
        return keys

    def add(self, seed: PersonSeed) -> Person:
        """Create or replace a person. Raises ValueError for an id that is not letters, digits, `_` or `-`."""
        if not PERSON_ID.fullmatch(seed.id):
            raise ValueError("id must be 1 to 40 letters, digits, _ or -")
        known = self._world.people.get(seed.id)
        person = Person(seed.id, seed.name, seed.kind, normal_phone(seed.phone), seed.language, seed.wecom_userid)
        if seed.kind == "staff" and not person.wecom_userid:
            person.wecom_userid = seed.id
        if known:
            person.flags = known.flags
        self._world.people[person.id] = person
        self.reindex()
        return person

    def get(self, person_id: str) -> Person | None:
        """The person with this sandbox id."""
        return self._world.people.get(person_id)

    def all(self) -> list[Person]:
        """Everybody, oldest first."""
        return list(self._world.people.values())

    def _find(self, identity: str) -> Person | None:
        return self._world.people.get(self._by_identity.get(identity, ""))

    def by_openid(self, app_id: str, value: str) -> Person | None:
        """Whose openid in this app it is; None also for an openid of another app."""
        person = self._find(value)
        return person if person and openid(app_id, person.id) == value else None

    def by_external_userid(self, corp_id: str, value: str) -> Person | None:
        """Whose external_userid in this corporation it is."""
        person = self._find(value)
        return person if person and external_userid(corp_id, person.id) == value else None

    def by_unionid(self, value: str) -> Person | None:
        """Whose unionid it is."""
        person = self._find(value)
        return person if person and unionid(person.id) == value else None

    def by_wecom_userid(self, value: str) -> Person | None:
        """The staff member with this userid; WeCom compares without case."""
        return self._find(f"wecom:{value.lower()}")

    def by_telegram_id(self, value: int) -> Person | None:
        """Whose Telegram id it is."""
        return self._find(f"telegram:{value}")

    def by_phone(self, value: str) -> Person | None:
        """Whose phone rings."""
        return self._find(f"phone:{normal_phone(value)}")

    def staff(self) -> list[Person]:
        """Everybody with a WeCom userid."""
        return [p for p in self._world.people.values() if p.wecom_userid]


def normal_phone(value: str) -> str:
    """The phone with country code; an 11-digit mainland number gets +86."""
    digits = re.sub(r"[^\d+]", "", value)
    if re.fullmatch(r"1\d{10}", digits):
        return "+86" + digits
    if digits.startswith("0086"):
        return "+" + digits[2:]
    return digits
