"""Nothing personal reaches a log line, whichever way it was logged; lines are JSON in production."""

import json
import logging
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
import structlog

from xiaohui import logs

PLANTED = {
    "mainland phone": "13800138000",
    "phone with code": "+8613912345678",
    "phone with dashes": "138-0013-8000",
    "foreign phone": "+4915123456789",
    "openid": "oABCDEFGHIJKLMNOPQRSTUVWXYZ0",
    "openid that ends in a dash": "oABCDEFGHIJKLMNOPQRSTUVWXYZ-",
    "external_userid": "wmABCDEFGHIJKLMNOPQRSTUVWXYZ0123",
    "bot token": "1234567890:AAF-abcdefghijklmnopqrstuvwxyz_012345",
}
IN_CONTEXT = {
    "query": ("access_token=ACCESS-VALUE&x=1", "ACCESS-VALUE"),
    "json": ('{"access_token": "ACCESS-VALUE", "x": 1}', "ACCESS-VALUE"),
    "mapping": ("{'app_secret': 'APP-VALUE'}", "APP-VALUE"),
    "header": ("Authorization: Bearer SESSION-VALUE", "SESSION-VALUE"),
    "database": ("cannot reach postgres://xiaohui:DB-VALUE@db/x", "DB-VALUE"),
    "login": ("https://api.weixin.qq.com/sns/jscode2session?js_code=CODE-VALUE&secret=S-VALUE", "CODE-VALUE"),
    "webhook": (f"https://api.telegram.org/bot{PLANTED['bot token']}/sendMessage", "AAF-abc"),
}
ALL = [*((value, value) for value in PLANTED.values()), *IN_CONTEXT.values()]
NAME = "林小满"


@dataclass
class Written:
    """What was logged."""

    stream: StringIO

    def text(self) -> str:
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture(params=[True, False], ids=["json", "terminal"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(level="info", as_json=request.param)
    yield Written(stream)
    root.handlers, root.level = before[0], before[1]
    structlog.reset_defaults()


@pytest.mark.parametrize(("text", "secret"), ALL)
def test_planted_values_reach_no_kind_of_line(written: Written, text: str, secret: str) -> None:
    log: Any = structlog.get_logger("test").bind(bound=text)
    event = f"in the event {text}"
    log.info(event)
    log.warning("as_a_value", why=text, nested={"list": [text, {"deeper": (text,)}]}, key={text: 1})
    log.error("as_an_object", error=ValueError(text))
    try:
        raise RuntimeError(text)
    except RuntimeError:
        log.exception("as_an_exception")
        logging.getLogger("library").exception("in a library: %s", text)
    logging.getLogger("library").warning("to %s", text)
    logging.getLogger("library").warning("as a mapping %(value)s", {"value": text})
    with structlog.contextvars.bound_contextvars(request=text):
        log.info("in_the_context")
    assert len(written.text()) > 500
    assert secret not in written.text()


@pytest.mark.parametrize("key", ["phone", "openid", "nickname", "text", "body", "webhook_secret", "access_token"])
def test_what_a_key_says_is_personal_is_masked_whatever_it_looks_like(written: Written, key: str) -> None:
    structlog.get_logger("test").info("line", **{key: NAME}, inner={key: [NAME]})
    assert "line" in written.text()
    assert NAME not in written.text()


def test_a_phone_as_a_number_is_masked_and_ids_and_counts_are_not(written: Written) -> None:
    public_id = uuid.UUID("0190b0a0-0000-7000-8000-000000000001")
    structlog.get_logger("test").info("line", who=13800138000, member_id=42, took_s=0.25, public_id=public_id, ok=True)
    for shown in ("42", "0.25", str(public_id)):
        assert shown in written.text()
    assert "13800138000" not in written.text()


def test_what_the_level_silences_costs_no_rendering(written: Written) -> None:
    class Expensive:
        def __str__(self) -> str:
            raise AssertionError("was rendered")

    structlog.get_logger("test").debug("silent", value=Expensive())
    logging.getLogger("aiohttp.access").info("%s", Expensive())
    assert written.text() == ""


def test_production_writes_one_object_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        logs.configure(level="info", as_json=True)
        structlog.get_logger("test").info("said", text_length=2, 中文="是", day=3)
        logging.getLogger("library").error("two\nlines")
    finally:
        root.handlers, root.level = before[0], before[1]
        structlog.reset_defaults()
    first, second = Written(stream).lines()
    assert first["event"] == "said"
    assert first["level"] == "info"
    assert first["中文"] == "是"
    assert "timestamp" in first
    assert second["event"] == "two\nlines"
