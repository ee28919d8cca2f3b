"""Names, numbers and ages."""

import itertools
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.members import rules
from loyalty.members.rules import BirthdayRefused, NameRefused

KEY = b"k" * 32


@given(st.sets(st.integers(1, 899_999_999), min_size=2, max_size=50))
def test_numbers_are_distinct_ten_digits_with_a_check_digit(ids: set[int]) -> None:
    numbers = {rules.number_of(member_id, KEY) for member_id in ids}
    assert len(numbers) == len(ids)
    assert all(rules.is_number(number) and number[0] != "0" for number in numbers)


def test_numbers_do_not_count() -> None:
    numbers = [int(rules.number_of(member_id, KEY)[:-1]) for member_id in range(1, 200)]
    assert numbers != sorted(numbers)
    assert min(abs(a - b) for a, b in itertools.pairwise(numbers)) > 1


@given(st.integers(1, 899_999_999), st.integers(0, 9), st.integers(1, 9))
def test_one_mistyped_digit_is_noticed(member_id: int, place: int, shift: int) -> None:
    number = rules.number_of(member_id, KEY)
    typed = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]
    assert not rules.is_number(typed)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("张三", "张*"),
        ("欧阳修", "欧**"),
        ("丽", "丽"),
        ("𠮷野家", "𠮷**"),
        ("买买提·吐尔逊", "买**"),
        ("Ann", "A**"),
        ("👩‍👩‍👧a", "👩‍👩‍👧*"),
        ("🇨🇳🇫🇷", "🇨🇳**"),
        ("é\u0301x", "é\u0301*"),
        ("\ue000某", "\ue000*"),
    ],
)
def test_a_mask_keeps_the_first_sign_whole(name: str, shown: str) -> None:
    assert rules.masked_name(rules.checked_name(name)) == shown


@pytest.mark.parametrize(
    "name", ["", " ", " 张三", "张三\n", "a\x00b", "\u202eevil", "a\u2066b", "\u200b张", "x" * 61, "\ud800", "\ufeffx"]
)
def test_names_that_deceive_are_refused(name: str) -> None:
    with pytest.raises(NameRefused):
        rules.checked_name(name)


@given(st.text(max_size=70))
def test_a_name_is_kept_byte_for_byte_or_refused(name: str) -> None:
    try:
        kept = rules.checked_name(name)
    except NameRefused:
        return
    assert kept == name
    assert kept.encode()
    assert len(rules.masked_name(kept)) <= len(kept) + 2


@pytest.mark.outside
def test_naughty_strings_are_kept_or_refused(outside: Path) -> None:
    strings = json.loads((outside / "security" / "blns" / "blns.json").read_text(encoding="utf-8"))
    kept = 0
    for text in strings:
        try:
            assert rules.checked_name(text) == text
            kept += 1
        except NameRefused:
            continue
    assert kept > 100


@pytest.mark.parametrize(
    ("birthday", "today", "minor"),
    [
        (date(2008, 11, 22), date(2026, 11, 21), True),
        (date(2008, 11, 21), date(2026, 11, 21), False),
        (date(2008, 2, 29), date(2026, 2, 28), True),
        (date(2008, 2, 29), date(2026, 3, 1), False),
    ],
)
def test_eighteen_begins_on_the_birthday(birthday: date, today: date, *, minor: bool) -> None:
    assert rules.is_minor(birthday, today) is minor


def test_birthdays_are_possible_days() -> None:
    with pytest.raises(BirthdayRefused):
        rules.checked_birthday(date(2026, 11, 22), date(2026, 11, 21))
    with pytest.raises(BirthdayRefused):
        rules.checked_birthday(date(1899, 12, 31), date(2026, 11, 21))


def test_languages_are_ours() -> None:
    assert [rules.locale_of(tag) for tag in ("zh_CN", "zh-hans", "en", "de", "", None)] == [
        "zh-CN",
        "zh-CN",
        "en",
        "en",
        None,
        None,
    ]
