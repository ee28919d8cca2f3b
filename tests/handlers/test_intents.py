"""The matcher against what people type: measured, with a floor under precision and recall."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from handlers import routes
from handlers.intents import CHINESE, ENGLISH, MEMBER, STAFF, UNSURE, nearest, recognise

HERE = Path(__file__).parent
PHRASES = yaml.safe_load((HERE / "phrases.yaml").read_text(encoding="utf-8"))
UNSEEN = yaml.safe_load((HERE / "phrases_unseen.yaml").read_text(encoding="utf-8"))
# What may answer talk that is about nothing here.
HARMLESS = {UNSURE, "human", "thanks", "welcome", "help", "cancel"}
FLOOR = 0.97
# On words that the cues were not tuned on: a wrong answer is worse than "not sure", which offers what is near.
UNSEEN_PRECISION = 0.95
UNSEEN_RECALL = 0.7


def measured(phrases: dict[str, list[str]]) -> tuple[float, float, list[tuple[str, str, str]]]:
    """Recall over what was meant, precision over what was answered (unrelated talk included), and what went wrong."""
    heard = [
        (text, route, recognise(text, for_staff=False).route) for route, texts in phrases.items() for text in texts
    ]
    meant = [entry for entry in heard if entry[1] != "none"]
    answered = [entry for entry in heard if entry[2] != UNSURE and (entry[1] != "none" or entry[2] not in HARMLESS)]
    recall = sum(route == got for _, route, got in meant) / len(meant)
    precision = sum(route == got for _, route, got in answered) / len(answered)
    return recall, precision, [entry for entry in heard if entry[1] not in {entry[2], "none"}]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_people_are_understood(language: str, record_property: Callable[[str, object], None]) -> None:
    recall, precision, wrong = measured(PHRASES[language])
    record_property("measured", f"recall {recall:.3f}, precision {precision:.3f}")
    assert precision >= FLOOR, wrong
    assert recall >= FLOOR, wrong


@pytest.mark.parametrize("language", ["zh", "en"])
def test_words_never_seen_before_are_understood_or_asked_about(
    language: str, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    recall, precision, wrong = measured(UNSEEN[language])
    record_property("measured", f"recall {recall:.3f}, precision {precision:.3f}")
    with capsys.disabled():
        print(f"\n{language}, unseen: recall {recall:.3f}, precision {precision:.3f}")  # noqa: T201
    assert precision >= UNSEEN_PRECISION, wrong
    assert recall >= UNSEEN_RECALL, wrong


@pytest.mark.parametrize("language", ["zh", "en"])
def test_unrelated_talk_starts_nothing(language: str) -> None:
    started = {text: recognise(text, for_staff=False).route for text in PHRASES[language]["none"]}
    assert not {text: route for text, route in started.items() if route not in HARMLESS}


def test_the_list_is_long_enough_to_mean_something() -> None:
    chinese = Counter({route: len(texts) for route, texts in PHRASES["zh"].items()})
    assert chinese.total() >= 300
    assert chinese.pop("none") >= 60
    assert all(count >= 12 for count in chinese.values())


def test_every_route_that_words_lead_to_exists() -> None:
    known = {*routes.MEMBER, *routes.BURSTS}
    assert {*MEMBER, *CHINESE, *ENGLISH} <= known
    assert set(STAFF) <= set(routes.STAFF)


def test_an_unclear_text_names_what_it_is_near() -> None:
    assert recognise("积分那个事", for_staff=False).route == UNSURE
    assert nearest("积分那个事")[0].startswith("points")
    assert nearest("今天天气真好") == ()


@pytest.mark.parametrize(
    ("typed", "route", "rest"),
    [
        ("查 13800138000", "find", "13800138000"),
        ("查13800138000", "find", "13800138000"),
        ("１３８００１３８０００", "find", "13800138000"),
        ("+86 138 0013 8000", "find", "+86 138 0013 8000"),
        ("123456789012345678", "find", "123456789012345678"),
        ("1234 567 890", "find", "1234 567 890"),
        ("消费 88.5", "purchase", "88.5"),
        ("消费：88.5元 A1024", "purchase", "88.5元 A1024"),
        ("记消费88", "purchase", "88"),
        ("核销 ABCD-EFGH-JKMN-P", "redeem", "ABCD-EFGH-JKMN-P"),
        ("ABCD-EFGH-JKMN-P", "redeem", "ABCD-EFGH-JKMN-P"),
        ("送 50 补偿", "grant", "50 补偿"),
        ("送50分补偿", "grant", "50分补偿"),
        ("发积分", "grant", ""),
        ("注册 13800138000 张三", "register", "13800138000 张三"),
        ("今日", "today", ""),
        ("帮助", "help", ""),
        ("buy 20", "purchase", "20"),
        ("buyer came", UNSURE, "buyer came"),
        ("送货什么时候到", UNSURE, "送货什么时候到"),
        ("88.5", UNSURE, "88.5"),
    ],
)
def test_clerks_need_one_line(typed: str, route: str, rest: str) -> None:
    heard = recognise(typed, for_staff=True)
    assert (heard.route, heard.rest) == (route, rest)


@given(st.text(max_size=200))
def test_nothing_typed_breaks_the_matcher(text: str) -> None:
    for for_staff in (False, True):
        heard = recognise(text, for_staff=for_staff)
        assert heard.route in ({*routes.STAFF} if for_staff else {*routes.MEMBER, *routes.BURSTS})
    assert len(nearest(text)) <= 2
