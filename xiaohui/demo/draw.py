"""The demo's wheel, open since the day before yesterday: yesterday's draws can be checked at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from loyalty.access import SystemPrincipal
from loyalty.draws import publishing, queries, service
from loyalty.draws.rules import Chances, CouponPrize, Form, HandedOver, NewDraw, Nothing, PointsPrize, Prize
from loyalty.draws.service import DrawRequest

CODE: Final = "wheel"
DRAWN_YESTERDAY: Final = 60
OPEN_FOR: Final = timedelta(days=90)


async def spin(member_ids: Sequence[int], *, principal: SystemPrincipal, now: datetime) -> None:
    """Publish the wheel and let some members draw yesterday; an existing wheel is left as it is."""
    if await queries.find(CODE) is not None:
        return
    before = now - timedelta(days=2)
    draft = await publishing.draft(_wheel(before), principal=principal, now=before)
    await publishing.publish(CODE, draft.fingerprint, principal=principal, now=before)
    requests = [
        DrawRequest(member_id=member_id, key="demo", nonce=f"demo-{place}")
        for place, member_id in enumerate(member_ids)
    ]
    await service.draw(CODE, requests, now=now - timedelta(days=1))


def _wheel(starts_at: datetime) -> NewDraw:
    return NewDraw(
        code=CODE,
        name={"zh-CN": "咖啡大转盘", "en": "The coffee wheel"},
        kind="wheel",
        organiser={"zh-CN": "小惠演示店", "en": "The Xiaohui demo shop"},
        claim_rules={"zh-CN": "实物奖品凭领奖码到任意门店领取", "en": "show the prize code in any shop"},
        starts_at=starts_at,
        ends_at=starts_at + OPEN_FOR,
        prizes=(
            _prize("grinder", "手摇磨豆机", "A hand grinder", Form.GOODS, HandedOver(), 29900, 1, 5),
            _prize("mug", "限定马克杯", "A limited mug", Form.GOODS, HandedOver(), 6900, 9, 50),
            _prize(
                "croissant",
                "现烤可颂兑换券",
                "A croissant on us",
                Form.GOODS,
                CouponPrize(template="croissant"),
                1200,
                40,
                80,
            ),
            _prize("points88", "88 积分", "88 points", Form.OTHER, PointsPrize(points=88), 88, 150, None),
            Prize(
                code="thanks",
                name={"zh-CN": "谢谢参与", "en": "Thank you for playing"},
                form=Form.NONE,
                award=Nothing(),
                worth_fen=0,
                weight=300,
            ),
        ),
        fallback="points88",
        chances=Chances(free_per_day=1, points_per_draw=20, max_per_day=5),
    )


def _prize(
    code: str,
    zh: str,
    en: str,
    form: Form,
    award: HandedOver | CouponPrize | PointsPrize,
    worth: int,
    weight: int,
    stock: int | None,
) -> Prize:
    return Prize(
        code=code, name={"zh-CN": zh, "en": en}, form=form, award=award, worth_fen=worth, weight=weight, stock=stock
    )
