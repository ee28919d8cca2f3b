"""One number has one spelling, however people write it."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.phones import rules
from loyalty.phones.rules import PhoneInvalid

HEADS = ("130", "138", "139", "150", "162", "165", "167", "172", "186", "191", "199")
FULL_WIDTH = str.maketrans("0123456789+- ", "０１２３４５６７８９＋－　")
mainland = st.builds(lambda head, tail: f"{head}{tail:08d}", st.sampled_from(HEADS), st.integers(0, 10**8 - 1))
prefixes = st.sampled_from(("", "+86", "0086", "86", "+86 ", "0086-", "(+86)"))
noise = st.sampled_from(("", " ", "-", "\u200b", "\u200d", "\u00a0", "\u2009", "\ufeff"))


@given(national=mainland, prefix=prefixes, gaps=st.lists(noise, min_size=12, max_size=12), wide=st.booleans())
def test_every_spelling_of_a_mainland_number_is_one_number(
    national: str, prefix: str, gaps: list[str], *, wide: bool
) -> None:
    spelled = prefix + "".join(digit + gap for digit, gap in zip(national, gaps, strict=False))
    if wide:
        spelled = spelled.translate(FULL_WIDTH)
    assert rules.e164(spelled) == "+86" + national


@given(mainland, mainland)
def test_different_numbers_stay_different(one: str, other: str) -> None:
    assert (rules.e164(one) == rules.e164(other)) == (one == other)


@given(st.text(max_size=80))
def test_any_text_is_a_number_or_a_refusal(typed: str) -> None:
    try:
        number = rules.e164(typed)
    except PhoneInvalid:
        return
    assert rules.e164(number) == number


@pytest.mark.parametrize("typed", ["", "110", "1380013800", "138001380000", "+86 23800138000", "13800x38000", "1" * 65])
def test_what_no_numbering_plan_knows_is_refused(typed: str) -> None:
    with pytest.raises(PhoneInvalid):
        rules.e164(typed)


def test_numbers_from_abroad_keep_their_country() -> None:
    assert rules.e164("+852 5123 4567") == "+85251234567"
    assert rules.e164("00852-51234567") == "+85251234567"
    assert rules.e164("+1 650-253-0000") == "+16502530000"


def test_masks_show_the_ends_only() -> None:
    assert rules.masked("+8613800138000") == "138****8000"
    assert rules.masked("+85251234567") == "+85****4567"


@pytest.mark.outside
def test_published_examples_have_one_spelling_each(outside: Path) -> None:
    path = outside / "security" / "phone" / "example_numbers.csv"
    seen = 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number, region = row["e164"], row["region"]
            if row["is_valid"].lower() not in {"true", "1", "yes"} or region == "001":
                continue
            spellings = {
                rules.e164(row[column], region=region) for column in ("e164", "international") if row.get(column)
            }
            assert spellings == {number}
            seen += 1
    assert seen > 1000
