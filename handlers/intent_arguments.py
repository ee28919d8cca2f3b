"""What stands behind a clerk's command: amounts, points, codes, numbers, and the words that come with them."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

FEN: Final = 100

_AMOUNT: Final = re.compile(
    r"[¥￥]?\s*(?P<yuan>\d{1,8}(?:\.\d{1,2})?)\s*(?:元|块|yuan)?(?:\s+(?:单号|order)?\s*[:：]?\s*(?P<order>\S{1,60}))?"
)
_POINTS: Final = re.compile(r"(?P<points>\d{1,7})\s*(?:分|积分|points)?\s*(?P<reason>\S.*)", re.DOTALL)
_TIER: Final = re.compile(r"(?P<tier>\S{1,40})\s+(?P<days>\d{1,4})\s*(?:天|日|days?)?\s+(?P<reason>\S.*)", re.DOTALL)
_RETURN: Final = re.compile(
    r"(?P<order>[0-9A-Za-z#/_.-]{1,60})?\s*(?:[¥￥]\s*(?P<yuan>\d{1,8}(?:\.\d{1,2})?)"
    r"|(?<=\s)(?P<bare>\d{1,8}(?:\.\d{1,2})?))?\s*(?:元|块|yuan)?"
)
_CODE: Final = re.compile(r"(?P<code>[0-9A-Za-z-]+)\s+(?P<reason>\S.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"(?P<phone>\+?\d[\d\s-]{4,22}\d)\s*(?P<name>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sale:
    """`88.5 A1024`: what was paid, and the order's number where there is one."""

    amount_fen: int
    order: str | None


@dataclass(frozen=True, slots=True)
class Gift:
    """`50 补偿`: points and why."""

    points: int
    reason: str


@dataclass(frozen=True, slots=True)
class Returning:
    """`A1024 50`: the order's number and how much of its price comes back; without them the latest, and all of it."""

    order: str | None
    amount_fen: int | None


@dataclass(frozen=True, slots=True)
class SetTier:
    """`金卡 90 补偿投诉`: a tier by its name or code, for how many days, and why."""

    tier: str
    days: int
    reason: str


@dataclass(frozen=True, slots=True)
class Undoing:
    """`ABCD-… 点错了`: a coupon's code and why its redemption is undone."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Newcomer:
    """`13800138000 张三`: a phone number, and a name where it was given."""

    phone: str
    name: str | None


def sale_of(text: str) -> Sale | None:
    """The sale that was typed; None when it reads as none."""
    found = _AMOUNT.fullmatch(text.strip())
    return Sale(int(Decimal(found["yuan"]) * FEN), found["order"]) if found else None


def gift_of(text: str) -> Gift | None:
    """The points that were typed with their reason; None when either is missing."""
    found = _POINTS.fullmatch(text.strip())
    return Gift(int(found["points"]), found["reason"].strip()) if found else None


def returning_of(text: str) -> Returning | None:
    """What is to come back; None when it reads as nothing of the sort. An amount alone is written with its sign."""
    found = _RETURN.fullmatch(text.strip())
    if found is None:
        return None
    typed = found["yuan"] or found["bare"]
    return Returning(found["order"], int(Decimal(typed) * FEN) if typed else None)


def tier_of(text: str) -> SetTier | None:
    """The tier, the days and the reason; None when one of them is missing."""
    found = _TIER.fullmatch(text.strip())
    return SetTier(found["tier"], int(found["days"]), found["reason"].strip()) if found else None


def undoing_of(text: str) -> Undoing | None:
    """The code and the reason; None when either is missing."""
    found = _CODE.fullmatch(text.strip())
    return Undoing(found["code"], found["reason"].strip()) if found else None


def newcomer_of(text: str) -> Newcomer | None:
    """The phone number and the name; None when there is no number."""
    found = _NUMBER.fullmatch(text.strip())
    return Newcomer(found["phone"], found["name"].strip() or None) if found else None
