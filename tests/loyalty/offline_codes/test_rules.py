"""Signed member codes: the published vector, the verifier in the documentation, and everything that is not genuine."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty import vault
from loyalty.offline_codes import rules
from loyalty.offline_codes.rules import OfflineCodeInvalid
from tests.conftest import TEST_SECRET

PAGE = (Path(__file__).resolve().parents[3] / "docs/offline-codes.md").read_text("utf-8")
AT = datetime(2026, 11, 21, 4, 3, tzinfo=UTC)
X = re.findall(r"^\| `x` \| `([\w-]+)` \|$", PAGE, re.MULTILINE)[0]
CODE = re.findall(r"^\| 码 code \| `([A-Z2-7]+)` \|$", PAGE, re.MULTILINE)[0]
KEYS = {"230": X}


@pytest.fixture(autouse=True)
def _unlocked() -> None:
    vault.unlock(TEST_SECRET)


def verifier() -> Callable[[str, dict[str, str], datetime], str | None]:
    """The function that integrators copy."""
    source = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    assert source.count("\n") <= 35
    names: dict[str, Any] = {}
    exec(compile(source, "docs/offline-codes.md", "exec"), names)  # noqa: S102 - what the page tells readers to run
    found: Callable[[str, dict[str, str], datetime], str | None] = names["verify"]
    return found


def test_the_published_vector_is_what_we_make() -> None:
    text, signed = rules.sign(1, AT)
    assert text == CODE
    assert rules.read(CODE) == signed
    assert (signed.member_id, signed.since, signed.until) == (
        1,
        datetime(2026, 11, 21, 4, tzinfo=UTC),
        datetime(2026, 11, 21, 10, tzinfo=UTC),
    )
    assert "230" in {str(key.kid) for key in rules.published(AT)}


@pytest.mark.parametrize(("minutes", "said"), [(-9, "not now"), (-7, None), (0, None), (361, None), (363, "not now")])
def test_the_documented_verifier_takes_it_in_its_time(minutes: int, said: str | None) -> None:
    assert verifier()(CODE, KEYS, AT + timedelta(minutes=minutes)) == said
    assert rules.read(CODE).counts_at(AT + timedelta(minutes=minutes)) is (said is None)


def test_the_documented_verifier_and_we_refuse_whatever_was_changed() -> None:
    verify = verifier()
    for place in range(129):
        for letter in "A7":
            if letter != CODE[place]:
                changed = CODE[:place] + letter + CODE[place + 1 :]
                assert verify(changed, KEYS, AT) in {"no member code", "unknown key: fetch the keys", "not genuine"}
                with pytest.raises(OfflineCodeInvalid):
                    rules.read(changed)
    other = dict.fromkeys(KEYS, "3_6nxxMyqedX-dSTC5SGJsGj394X2QH_nrklpzzU8XU")
    assert verify(CODE, other, AT) == "not genuine"


@given(st.integers(1, 2**40), st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC)))
def test_every_member_comes_back_and_keys_change_with_the_quarter(member_id: int, at: datetime) -> None:
    text, signed = rules.sign(member_id, at)
    assert (rules.read(f" {text.lower()} "), signed.member_id) == (signed, member_id)
    assert rules.published(at)[1].since <= signed.since < rules.published(at)[1].until


def test_two_days_of_one_member_do_not_look_alike() -> None:
    aliases = {rules._bytes(rules.sign(7, AT + timedelta(days=day))[0])[3:11] for day in range(5)}
    assert len(aliases) == 5


@pytest.mark.parametrize("text", ["", "A" * 130, "1" * 130, "Ä" * 130, "A" * 129, "A" * 131, "会员"])
def test_what_is_no_code(text: str) -> None:
    with pytest.raises(OfflineCodeInvalid):
        rules.read(text)
