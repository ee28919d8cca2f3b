"""Codes: reversible, keyed, and no slip of the hand passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty import codes, vault

NUMBERS = st.integers(min_value=0, max_value=codes.NUMBER_MAX)


@pytest.fixture(autouse=True, scope="module")
def _unlocked() -> None:
    vault.unlock(b"a root secret for tests only, 32+ bytes")


@given(number=NUMBERS)
def test_a_code_opens_to_its_number(number: int) -> None:
    code = codes.encode(number, use="coupon")
    assert len(code) == codes.CODE_LENGTH
    assert set(code) <= set(codes.ALPHABET)
    assert codes.decode(code, use="coupon") == number


@given(number=NUMBERS, place=st.integers(0, codes.CODE_LENGTH - 1), wrong=st.sampled_from(codes.ALPHABET))
def test_one_wrong_character_is_caught(number: int, place: int, wrong: str) -> None:
    code = codes.encode(number, use="coupon")
    typed = code[:place] + wrong + code[place + 1 :]
    if typed != code:
        with pytest.raises(codes.CodeMistyped):
            codes.decode(typed, use="coupon")


@given(number=NUMBERS, first=st.integers(0, codes.CODE_LENGTH - 1), second=st.integers(0, codes.CODE_LENGTH - 1))
def test_two_characters_that_changed_places_are_caught(number: int, first: int, second: int) -> None:
    code = codes.encode(number, use="coupon")
    typed = list(code)
    typed[first], typed[second] = typed[second], typed[first]
    if "".join(typed) != code:
        with pytest.raises(codes.CodeMistyped):
            codes.decode("".join(typed), use="coupon")


@given(number=NUMBERS)
def test_people_may_type_it_their_way(number: int) -> None:
    code = codes.encode(number, use="coupon")
    full_width = "".join(chr(ord(character) + 0xFEE0) for character in code)
    for typed in (code.lower(), codes.spaced(code), f" {code} ", full_width, code.replace("0", "O").replace("1", "l")):
        assert codes.decode(typed, use="coupon") == number


@pytest.mark.parametrize(
    "typed", ["", "A", "0" * 12, "0" * 14, "U" * 13, "0" * 10_000, "\x00" * 13, "一二三四五六七八九十百千万"]
)
def test_what_is_no_code_is_refused(typed: str) -> None:
    with pytest.raises(codes.CodeMistyped):
        codes.decode(typed, use="coupon")


def test_neighbouring_numbers_have_unrelated_codes() -> None:
    first, second = codes.encode(1, use="coupon"), codes.encode(2, use="coupon")
    assert sum(a == b for a, b in zip(first, second, strict=True)) <= 5


def test_each_use_and_each_installation_has_codes_of_its_own() -> None:
    code = codes.encode(7, use="coupon")
    assert codes.encode(7, use="gift") != code
    vault.unlock(b"another root secret, also 32+ bytes long")
    try:
        assert codes.encode(7, use="coupon") != code
    finally:
        vault.unlock(b"a root secret for tests only, 32+ bytes")


def test_a_million_numbers_have_a_million_codes_in_sample() -> None:
    assert len({codes.encode(number, use="coupon") for number in range(5_000)}) == 5_000
