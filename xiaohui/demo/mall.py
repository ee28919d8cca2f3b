"""The demo's points mall: goods to fetch or be sent, a coupon, codes, and one for points and money."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from loyalty.access import SystemPrincipal
from loyalty.mall import items, queries
from loyalty.mall.rules import NewItem

ITEMS: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "code": "tote",
        "name": {"zh-CN": "帆布袋", "en": "Canvas tote"},
        "good": {"kind": "goods", "delivery": ("collect", "ship")},
        "points": 80,
        "tier_points": {"gold": 60, "diamond": 50},
        "stock": 40,
        "limit": {"per_period": 2, "period": "month"},
    },
    {
        "code": "tumbler",
        "name": {"zh-CN": "随行杯", "en": "Tumbler"},
        "good": {"kind": "goods", "delivery": ("collect",)},
        "points": 100,
        "money_fen": 1990,
        "stock": 20,
    },
    {
        "code": "croissant",
        "name": {"zh-CN": "可颂券", "en": "Croissant coupon"},
        "good": {"kind": "coupon", "template": "croissant"},
        "points": 30,
        "stock": 20,
        "limit": {"total": 1},
    },
    {"code": "music", "name": {"zh-CN": "音乐月卡", "en": "A month of music"}, "good": {"kind": "code"}, "points": 60},
)
CODES: Final = tuple(f"MUSIC-DEMO-{number:04d}" for number in range(1, 13))


async def stock(*, principal: SystemPrincipal, now: datetime) -> None:
    """Put the items on offer; what exists is left as it is."""
    for values in ITEMS:
        item = NewItem.model_validate(values)
        if await queries.find(item.code, at=now) is not None:
            continue
        await items.write(item, version=0, principal=principal, now=now)
        if item.good.kind == "code":
            await items.upload(item.code, CODES, principal=principal, now=now)
