"""Templates: what a marketer may publish, and who may."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from loyalty import db
from loyalty.access import Role
from loyalty.coupon_templates import queries
from loyalty.coupon_templates import service as templates
from loyalty.coupon_templates.rules import AmountOff, Exchange, Gift, NewTemplate, PercentOff
from loyalty.errors import Forbidden
from tests.loyalty.shop import ADMIN, NOW, employee, store, template

GOOD: dict[str, Any] = {"code": "ten", "name": {"en": "Ten"}, "worth": AmountOff(off_fen=1), "claim_from": NOW}


@pytest.mark.parametrize(
    "worth",
    [
        AmountOff(off_fen=1_000),
        PercentOff(percent_off=20, cap_fen=3_000),
        PercentOff(percent_off=20),
        Gift(item={"zh-CN": "马克杯"}),
        Exchange(item={"zh-CN": "拿铁", "en": "Latte"}),
    ],
)
async def test_every_kind_comes_back_as_published(
    database: None, worth: AmountOff | PercentOff | Gift | Exchange
) -> None:
    made = await template(worth=worth, tiers=("gold",), store_ids=(1, 2), stock=7, valid_until=NOW + timedelta(days=9))
    found = await queries.by_code(made.code)
    assert found == made
    assert made.worth == worth
    assert (made.tiers, made.store_ids, made.left) == (("gold",), (1, 2), 7)


async def test_a_code_is_used_once(database: None) -> None:
    made = await template()
    with pytest.raises(templates.TemplateCodeTaken):
        await template(code=made.code)


async def test_only_marketers_publish(database: None) -> None:
    new = NewTemplate(**GOOD, valid_days=1)
    store_id = await store()
    for role in Role:
        principal = await employee(role, store_id)
        if role is Role.MARKETER:
            async with db.unit_of_work():
                await templates.create_template(new, principal=principal, now=NOW)
        else:
            with pytest.raises(Forbidden):
                async with db.unit_of_work():
                    await templates.create_template(new, principal=principal, now=NOW)


async def test_changes_of_what_does_not_exist(database: None) -> None:
    with pytest.raises(templates.TemplateUnknown):
        async with db.unit_of_work():
            await templates.set_active(404, active=True, principal=ADMIN, now=NOW)
    with pytest.raises(templates.TemplateUnknown):
        async with db.unit_of_work():
            await templates.set_stock(404, 1, principal=ADMIN, now=NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"valid_days": 0},
        {"valid_days": 1, "claim_until": NOW},
        {"valid_days": 1, "stock": -1},
        {"valid_days": 1, "per_member_limit": 0},
        {"valid_days": 1, "code": "有空格"},
        {"valid_days": 1, "name": {}},
        {"valid_days": 1, "min_spend_fen": -1},
        {"valid_days": 1, "claim_from": NOW.replace(tzinfo=None)},
        {"valid_days": 1, "worth": {"kind": "percent", "percent_off": 101}},
        {"valid_days": 1, "worth": {"kind": "money"}},
        {"valid_days": 1, "surprise": True},
    ],
)
def test_what_cannot_be_published(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewTemplate(**{**GOOD, **wrong})
