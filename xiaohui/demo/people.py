"""Names, shops and goods of the demo, made from a seed: believable, and nobody's."""

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from loyalty.purchases.receipt import Line, Receipt

SURNAMES: Final = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅"
    "钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严赖覃洪武莫孔"
)
COMPOUND_SURNAMES: Final = ("欧阳", "司马", "上官", "诸葛")
GIVEN: Final = "一诺子涵雨桐欣怡梓萱思远浩然宇轩俊杰佳怡晓明小满安然清秋若溪景行知夏云舒文博嘉树书瑶沐阳亦辰"
SHOPS: Final = (
    ("sh-jingan", "小惠茶饮·静安店", "上海"),
    ("sh-xuhui", "小惠茶饮·徐汇店", "上海"),
    ("hz-xihu", "小惠茶饮·西湖店", "杭州"),
)
GOODS: Final = (("茉莉奶绿", 1800), ("龙井鲜奶茶", 2200), ("桂花乌龙", 1600), ("芝士杨梅", 2800), ("现烤可颂", 1500))
COMPOUND_SHARE: Final = 0.02
PHONE_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody with a name, a phone and a birthday; `activity` is how often they come, 0 to 1."""

    openid: str
    name: str
    phone: str | None
    birthday: date
    activity: float


@dataclass(frozen=True, slots=True)
class DemoSale:
    """What one visit brought."""

    external_id: str
    shop: int
    amount_fen: int
    receipt: Receipt
    at: datetime


def person(number: int, seed: int) -> DemoPerson:
    """The `number`-th person of `seed`; always the same one."""
    dice = random.Random(f"{seed}:{number}")  # noqa: S311 - the same seed must give the same people
    surname = dice.choice(COMPOUND_SURNAMES) if dice.random() < COMPOUND_SHARE else dice.choice(SURNAMES)
    start = dice.randrange(len(GIVEN) // 2) * 2
    given = GIVEN[start : start + dice.choice((1, 2, 2))]
    return DemoPerson(
        openid=f"demo-{seed}-{number:08d}",
        name=surname + given,
        phone=f"+86139{(seed * 7 + number) % 10**8:08d}" if dice.random() < PHONE_SHARE else None,
        birthday=date(dice.randint(1965, 2006), dice.randint(1, 12), dice.randint(1, 28)),
        activity=dice.betavariate(1.2, 3.5),
    )


def sales(number: int, who: DemoPerson, seed: int, now: datetime) -> list[DemoSale]:
    """The person's visits of the last 120 days."""
    dice = random.Random(f"{seed}:{number}:sales")  # noqa: S311 - the same
    made = []
    for visit in range(int(who.activity * 24)):
        bought = [dice.choice(GOODS) for _ in range(dice.choice((1, 1, 2, 3)))]
        made.append(
            DemoSale(
                external_id=f"demo-{seed}-{number}-{visit}",
                shop=dice.randrange(len(SHOPS)),
                amount_fen=sum(price for _, price in bought),
                receipt=Receipt(
                    tuple(Line(no=no, name=name, amount_fen=price) for no, (name, price) in enumerate(bought, 1)),
                    {"wechat": sum(price for _, price in bought)},
                ),
                at=now - timedelta(days=dice.uniform(0, 120)),
            )
        )
    return sorted(made, key=lambda sale: sale.at)
