"""What a draw may promise: the law's eight cases at the fen, payment with chances, odds as published."""

import hmac
import secrets
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from loyalty.draws import proof, rules
from loyalty.draws.rules import Chances, NewDraw, PaidBy, Refused
from tests.loyalty.draws.fair import document, nothing, prize

CAP = 5_000_000


def draw(*prizes: object, **more: Any) -> NewDraw:
    return NewDraw.model_validate(document(*prizes, nothing(1), **more))


@pytest.mark.parametrize(
    ("what", "form", "stock", "per_ticket"),
    [
        ("several winners, any one of them", "goods", 3, 1),
        ("several chances on one ticket add up", "goods", 1, 2),
        ("a right of use or a service", "use", 1, 1),
        ("game equipment, accounts, virtual things", "virtual", 1, 1),
        ("price cuts and discounts", "discount", 1, 1),
        ("tickets, by the highest prize they can bring", "ticket", 1, 1),
        ("employment, by all that is paid", "employment", 1, 1),
        ("any other form", "other", 1, 1),
    ],
)
def test_the_eight_cases_of_the_cap_at_the_fen(what: str, form: str, stock: int, per_ticket: int) -> None:
    chances = {"per_ticket": per_ticket}
    most = CAP // per_ticket
    allowed = draw(prize("top", 1, form=form, stock=stock, worth_fen=most), chances=chances)
    assert rules.over_cap(allowed) is None, what
    above = draw(prize("top", 1, form=form, stock=stock, worth_fen=most + 1), chances=chances)
    over = rules.over_cap(above)
    assert over is not None, what
    assert over.code == "top"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"fallback": "scarce"}, "fallback_runs_out"),
        ({"fallback": "absent"}, "fallback_runs_out"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "period_impossible"),
        ({"ends_at": "2036-01-01T00:00:00Z"}, "period_impossible"),
    ],
)
def test_impossible_draws_are_refused(change: dict[str, object], problem: str) -> None:
    whole = document(prize("scarce", 1, stock=1), nothing(1)) | change
    with pytest.raises(ValidationError) as refused:
        NewDraw.model_validate(whole)
    assert [error["type"] for error in refused.value.errors()] == [problem]


def test_prizes_mean_what_they_say() -> None:
    for bad in (
        prize("a", 1, form="none"),
        prize("a", 1, award={"kind": "nothing"}),
        prize("a", 1, award={"kind": "nothing"}, form="none", worth_fen=5),
    ):
        with pytest.raises(ValidationError):
            draw(bad)
    with pytest.raises(ValidationError):
        draw(prize("a", 1), prize("a", 2))


def test_free_chances_first_then_granted_ones_then_points() -> None:
    chances = Chances(free_per_day=1, points_per_draw=10, max_per_day=3, max_total=5)
    none: Counter[PaidBy] = Counter()
    free = Counter({PaidBy.FREE: 1})
    assert rules.payment(chances, today=none, total=0, granted_left=1) is PaidBy.FREE
    assert rules.payment(chances, today=free, total=1, granted_left=1) is PaidBy.GRANTED
    assert rules.payment(chances, today=free, total=1, granted_left=0) is PaidBy.POINTS
    assert rules.payment(chances, today=Counter({PaidBy.FREE: 3}), total=3, granted_left=1) is Refused.DAY_LIMIT
    assert rules.payment(chances, today=none, total=5, granted_left=1) is Refused.TOTAL_LIMIT
    unpaid = Chances(free_per_day=1)
    assert rules.payment(unpaid, today=free, total=1, granted_left=0) is Refused.NO_CHANCE


def test_case_64_weights_are_the_odds() -> None:
    # Weights 10/30/60: expected shares .10/.30/.60; chi-square with 2 degrees of freedom, 13.8 at p = 0.001.
    weights, draws = (10, 30, 60), 100_000
    seed = secrets.token_bytes(32)
    seen = Counter(
        proof.sector(weights, proof.roll(seed, code="c", day="2026-11-21", serial=serial, nonce="n", total=100))
        for serial in range(1, draws + 1)
    )
    assert sum(seen.values()) == draws
    chi_square = sum((seen[i] - draws * w / 100) ** 2 / (draws * w / 100) for i, w in enumerate(weights))
    assert chi_square < 13.8


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_every_number_has_its_sector_and_every_sector_its_weight(weights: list[int]) -> None:
    shares = Counter(proof.sector(weights, number) for number in range(sum(weights)))
    assert [shares[place] for place in range(len(weights))] == weights
    with pytest.raises(ValueError, match="below the total"):
        proof.sector(weights, sum(weights))


@given(st.binary(min_size=32, max_size=32), st.integers(1, 2**40), st.text("abc", min_size=1, max_size=5))
def test_rolls_are_in_range_and_the_same_again(seed: bytes, total: int, nonce: str) -> None:
    one = proof.roll(seed, code="c", day="d", serial=1, nonce=nonce, total=total)
    assert 0 <= one < total
    assert one == proof.roll(seed, code="c", day="d", serial=1, nonce=nonce, total=total)


def test_numbers_of_an_incomplete_round_are_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    # With a total just above half of the range, the upper part must never be folded down.
    total, answers = 2**63 + 1, iter([(2**64 - 1).to_bytes(8, "big") + bytes(24), (5).to_bytes(8, "big") + bytes(24)])
    monkeypatch.setattr(hmac, "digest", lambda *_args: next(answers))
    assert proof.roll(b"", code="c", day="d", serial=1, nonce="n", total=total) == 5
