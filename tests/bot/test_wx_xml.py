"""XML of pushes: what is read, what is refused, what goes out."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channel import Malformed
from bot.wx_xml import _flat, _parsed, cdata, parse, render

REFUSED = {
    "doctype": b'<!DOCTYPE xml [<!ENTITY x "y">]><xml><A>&x;</A></xml>',
    "external": b'<!DOCTYPE xml SYSTEM "http://127.0.0.1:9/x.dtd"><xml><A>1</A></xml>',
    "repeated": b"<xml><FromUserName>a</FromUserName><FromUserName>b</FromUserName></xml>",
    "deep": b"<xml>" + b"<a>" * 40 + b"</a>" * 40 + b"</xml>",
    "many": b"<xml>" + b"".join(b"<a%d/>" % number for number in range(3000)) + b"</xml>",
    "other root": b"<message><A>1</A></message>",
    "empty root": b"<xml></xml>",
    "two roots": b"<xml><A>1</A></xml><xml><A>2</A></xml>",
    "utf-16": '<?xml version="1.0" encoding="utf-16"?><xml><A>1</A></xml>'.encode("utf-16"),
    "not utf-8": b"<xml><A>\xff\xfe</A></xml>",
    "control character": b"<xml><A>\x0b</A></xml>",
    "unknown entity": b"<xml><A>&nbsp;</A></xml>",
    "long": b"<xml><A>" + b"x" * 70_000 + b"</A></xml>",
    "nothing": b"",
    "json": b'{"a":1}',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_no_genuine_push_contains_is_refused_at_once(body: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(Malformed):
        parse(body)
    assert time.perf_counter() - started < 0.05


def test_text_is_kept_to_the_character() -> None:
    text = " a]]>b  👨‍👩‍👧 \u202emirrored\u202c \t"
    assert parse(f"<xml><Content>{cdata(text)}</Content></xml>".encode()) == {"Content": text}


def test_nested_lists_become_lists_and_single_entries_do_not() -> None:
    body = b"<xml><A><L><item><x>1</x></item><item><x>2</x></item></L></A><B><L><x>3</x></L></B></xml>"
    assert parse(body) == {"A": {"L": {"item": [{"x": "1"}, {"x": "2"}]}}, "B": {"L": {"x": "3"}}}


FLAT_PIECES = st.lists(
    st.sampled_from(
        [
            *("<xml>", "</xml>", "<A>", "</A>", "<B_1>", "</B_1>", "<1>", "</1>", "<é>", "</é>", "<A/>", "<A b='c'>"),
            *("<![CDATA[", "]]>", "]", "[", "&amp;", "&", "<", ">", " ", "\n", "\r", "\t", "\x0b", "\x00", "\x85"),
            *("\u2028", "\ufeff", "\ufffe", "\uffff", "\ud7ff", "\ue000", "签到", "👨‍👩‍👧", "12", "<!---->", "<?a?>"),
        ]
    ),
    max_size=12,
).map("".join)


@given(
    st.one_of(
        FLAT_PIECES,
        FLAT_PIECES.map(lambda inside: f"<xml>{inside}</xml>"),
        FLAT_PIECES.map(lambda inside: f"<xml><A>{inside}</A></xml>"),
        FLAT_PIECES.map(lambda inside: f"<xml><A><![CDATA[{inside}]]></A>\n<B>1</B></xml>"),
        st.text().map(lambda inside: f"<xml><A><![CDATA[{inside}]]></A></xml>"),
        st.text().map(lambda inside: f"<xml>{inside}<A>1</A></xml>"),
    )
)
def test_the_pattern_reads_what_the_parser_reads_or_leaves_it_alone(text: str) -> None:
    flat = _flat(text)
    if flat:
        assert flat == _parsed(text)


def test_genuine_pushes_are_flat() -> None:
    push = "<xml><ToUserName><![CDATA[gh_1]]></ToUserName>\n <CreateTime>1</CreateTime>\n</xml>"
    assert _flat(push) == {"ToUserName": "gh_1", "CreateTime": "1"}


@given(st.text())
def test_any_text_survives_going_out_except_what_xml_cannot_carry(text: str) -> None:
    back = parse(render({"Content": text, "CreateTime": 1}))
    expected = "".join(c for c in text if c in "\t\n\r" or (ord(c) >= 0x20 and not 0xD800 <= ord(c) <= 0xDFFF))
    expected = expected.replace("\ufffe", "").replace("\uffff", "").replace("\r\n", "\n").replace("\r", "\n")
    assert back == {"Content": expected, "CreateTime": "1"}


@pytest.mark.outside
def test_the_attack_corpora_are_refused_quickly(outside: Path) -> None:
    files = [path for path in (outside / "security/xml").rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        for body in (path.read_bytes(), *path.read_bytes().splitlines()):
            started = time.perf_counter()
            with pytest.raises(Malformed):
                parse(body)
            assert time.perf_counter() - started < 0.05, path.name
