"""Every notice in every language, filled with sample facts; an unknown name in a template is an error."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from bot import notice_facts
from handlers.render import LOCALES, render
from loyalty.decisions.service import KINDS
from loyalty.ladders.rules import DEFAULT_LADDER
from loyalty.program.terms import Terms

FACTS: dict[str, Any] = {
    "brand": "小惠",
    "today": date(2026, 11, 21),
    "tier": "Gold",
    "old_tier": "Silver",
    "multiplier_percent": 120,
    "growth": 2000,
    "points": 88,
    "days": 7,
    "last_day": date(2026, 11, 28),
    "count": 2,
    "names": ["A", "B\n[x](claim:1)"],
    "claim_id": 7,
    "asked": SimpleNamespace(
        public_id="abc",
        kind="points_grant",
        amount=50,
        payload={"code": "c", "budget": None, "budget_fen": 1, "method": ""},
    ),
    "unit": "fen",
    "asker": "Wang\n[x](approve:abc)",
    "store": "1",
    "decider": "Chen",
    "approved": True,
    "reason": "late\n# title\n[x](approve:abc)",
    "member": SimpleNamespace(name_masked="W**", number="1234567890"),
    "expires": datetime(2026, 11, 22, tzinfo=UTC),
    "until": datetime(2026, 11, 28, 16, tzinfo=UTC),
    "missing": 120,
    "ends_at": datetime(2026, 11, 28, 16, tzinfo=UTC),
    "standing": SimpleNamespace(in_grace=False, ladder=DEFAULT_LADDER),
    "code": "123456",
}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("notice", [*notice_facts.GATHERED, "phone_code"])
def test_every_notice_reads(notice: str, locale: str) -> None:
    reply = render(notice, locale, folder="notices", task_id="n", terms=Terms(), **FACTS)
    assert not reply.is_silent
    pressed = {button.key for button in reply.buttons}
    assert "claim:1" not in pressed
    assert len(pressed) == len(reply.buttons)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("notice", ["approval_requested", "approval_decided"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_request_has_words_in_cards_that_fit(kind: str, notice: str, locale: str) -> None:
    is_campaign = kind in {"earning_rule", "draw"}
    facts = {
        **FACTS,
        "asked": SimpleNamespace(**{**vars(FACTS["asked"]), "kind": kind}),
        "tier": "Gold" if kind == "tier_override" else "",
        "member": None if is_campaign else FACTS["member"],
    }
    reply = render(notice, locale, folder="notices", task_id="n", terms=Terms(), **facts)
    assert not reply.is_silent
    if reply.card is not None:
        assert len(reply.card.rows) <= (7 if kind == "tier_override" else 6)
        assert [button.key for button in reply.buttons] == ["approve:abc", "refuse:abc"]


def test_a_birthday_without_a_gift_speaks_of_none() -> None:
    assert "积分" not in render("birthday", "zh-CN", folder="notices", terms=Terms(), **{**FACTS, "points": 0}).text
