"""Words within WeChat's limits: never half a character, never a link that nobody made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.wx_template_fields import FieldRefused, fitted
from bot.wx_text import MAX_TEXT_BYTES, cut_to_bytes, wechat_text
from handlers.messages import Button, Reply

PLAIN = st.text(st.characters(exclude_categories=["Cs"]))


@given(PLAIN, st.integers(3, 60))
def test_a_cut_text_fits_and_is_the_beginning(text: str, most: int) -> None:
    cut = cut_to_bytes(text, most)
    assert len(cut.encode()) <= most
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


def test_an_emoji_family_is_not_left_with_a_dangling_joiner() -> None:
    family = "👨‍👩‍👧"
    assert cut_to_bytes(family * 2, len(family.encode()) + 10) == family + "👨…"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1000, max_size=3000))
def test_buttons_stay_whole_however_long_the_words(text: str) -> None:
    shown = wechat_text(Reply(text, buttons=(Button("积分", key="points"),)))
    assert len(shown.encode()) <= MAX_TEXT_BYTES
    assert shown.endswith('&msgmenuid=points">积分</a>')


@pytest.mark.parametrize("name", ['<a href="https://evil.example">领奖</a>', "<A\nhref=x>y</A>", "</a>"])
def test_a_nickname_cannot_be_a_link(name: str) -> None:
    assert "<a" not in wechat_text(Reply(f"你好 {name}")).lower()
    assert "</a>" not in wechat_text(Reply(f"你好 {name}"))


def test_a_button_cannot_break_out_of_its_link() -> None:
    shown = wechat_text(Reply("x", buttons=(Button('"><a href="https://evil.example&#', key='a"b&c'),)))
    link = shown.split("\n\n")[1]
    tag, _end, _words = link.partition(">")
    assert link.count("<") == 2
    assert tag.count('"') == 2
    assert tag.count("&") == 1


@pytest.mark.parametrize(
    ("field", "value", "sent"),
    [
        ("thing1", "生日礼券", "生日礼券"),
        ("thing1", "一二三四五六七八九十一二三四五六七八九十一", "一二三四五六七八九十一二三四五六七八九…"),
        ("thing12", "two\nlines", "two lines"),
        ("number3", "-12.5", "-12.5"),
        ("amount4", "¥12.50", "¥12.50"),
        ("amount4", "12元", "12元"),
        ("character_string5", "XH-2026/1", "XH-2026/1"),
        ("time6", "2026年11月1日 15:01", "2026年11月1日 15:01"),
        ("date7", "2026年11月1日", "2026年11月1日"),
        ("phone_number8", "+86-13800138000", "+86-13800138000"),
        ("phrase9", "已到账", "已到账"),
        ("name1", "阿卜杜拉·买买提", "阿卜杜拉·买买提"),
        ("keyword1", "any", "any"),
    ],
)
def test_values_that_fit_are_sent(field: str, value: str, sent: str) -> None:
    assert fitted({field: value}) == {field: {"value": sent}}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("thing1", " \n "),
        ("number1", "twelve"),
        ("amount1", "12.345"),
        ("amount1", "12345678901"),
        ("character_string1", "中文"),
        ("phrase1", "六个汉字太长"),
        ("phrase1", "ok"),
        ("letter1", "abc1"),
        ("symbol1", "!!!!!!"),
        ("car_number1", "沪A1234567"),
        ("time1", "tomorrow"),
        ("phone_number1", "call me"),
    ],
)
def test_values_that_the_platform_would_refuse_are_named(field: str, value: str) -> None:
    with pytest.raises(FieldRefused) as raised:
        fitted({field: value})
    assert raised.value.name == field
