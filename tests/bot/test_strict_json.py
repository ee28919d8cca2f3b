import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channel import Malformed
from bot.strict_json import parse_object, storable

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_what_python_writes_is_read_back(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value).encode()) == value


def test_integers_keep_every_digit() -> None:
    assert parse_object(b'{"id": 9007199254740993}') == {"id": 9007199254740993}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"1",
        b"[]",
        b"null",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":"\xff"}',
        b'{"a":1}x',
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b'{"a":' + b"[" * 60_000,
        b'{"a":"' + b"\\" * 60_000,
        b"{" * 60_000,
        b"{" * 40 + b'"' + b'\\"' * 30_000,
        b"{" * 40 + b'"' + b'\\"' * 30_000 + b"\\",
        b'\xef\xbb\xbf{"a":1}',
    ],
)
def test_what_two_parsers_could_read_differently_is_refused_at_once(body: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(Malformed):
        parse_object(body)
    assert time.perf_counter() - started < 0.05


def test_brackets_inside_text_are_not_depth() -> None:
    text = '[{"' * 100
    assert parse_object(json.dumps({"a": text}).encode()) == {"a": text}


def test_answers_to_our_own_calls_may_repeat_a_key() -> None:
    assert parse_object(b'{"a":1,"a":2}', allow_duplicates=True) == {"a": 2}
    with pytest.raises(Malformed):
        parse_object(b'{"a":NaN}', allow_duplicates=True)


@given(st.text(st.characters(exclude_categories=())))
def test_storable_text_is_what_postgresql_and_utf8_can_hold(text: str) -> None:
    kept = storable(text)
    assert "\x00" not in kept
    assert kept.encode("utf-8").decode("utf-8") == kept
    assert storable(kept) == kept


@pytest.mark.outside
def test_public_corpus_of_json_that_must_be_refused(outside: Path) -> None:
    refused = sorted((outside / "security").rglob("n_*.json"))
    if not refused:
        pytest.skip("no corpus of refused JSON here")
    for file in refused:
        with pytest.raises(Malformed):
            parse_object(file.read_bytes())
