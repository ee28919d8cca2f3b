"""What a template's data fields may hold, by the type in their name (`thing1`, `time2`, `amount3` …)."""

import re
from typing import Any

from bot.sandbox.platform_error import PlatformError

DATE = r"\d{4}(年\d{1,2}月(\d{1,2}日)?|[-/.]\d{1,2}[-/.]\d{1,2})"
CLOCK = r"\d{1,2}:\d{2}(:\d{2})?"
MOMENT = rf"({DATE}( ?{CLOCK})?|{CLOCK})"
PATTERNS: dict[str, re.Pattern[str]] = {
    "thing": re.compile(r".{1,20}"),
    "number": re.compile(r"(?=.{1,32}$)\d+(\.\d+)?"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "symbol": re.compile(r"[^\w\s]{1,5}"),
    "character_string": re.compile(r"[\x21-\x7e]{1,32}"),
    "time": re.compile(rf"{MOMENT}(~{MOMENT})?"),
    "date": re.compile(rf"{DATE}( ?{CLOCK})?(~{DATE}( ?{CLOCK})?)?"),
    "amount": re.compile(r"[¥$€£￥]?\d{1,10}(\.\d+)?元?"),
    "phone_number": re.compile(r"[\d+()-]{1,17}"),
    "car_number": re.compile(r".{1,8}"),
    "name": re.compile(r"[\u4e00-\u9fff·]{1,10}|[A-Za-z .]{1,20}"),
    "phrase": re.compile(r"[\u4e00-\u9fff]{1,5}"),
}
FIELD = re.compile(r"([a-z_]+?)\d+")


def checked_fields(keys: list[str], data: Any) -> dict[str, str]:
    """The values by key. Raises PlatformError 47003 naming the key of a missing or bad value."""
    if not isinstance(data, dict):
        raise PlatformError(47003, "argument invalid! data is empty")
    values: dict[str, str] = {}
    for key in keys:
        item = data.get(key)
        value = item.get("value") if isinstance(item, dict) else None
        if value is None or str(value) == "":
            raise PlatformError(47003, f"argument invalid! data.{key}.value is empty")
        values[key] = str(value)
        typed = FIELD.fullmatch(key)
        pattern = PATTERNS.get(typed[1]) if typed else None
        if pattern and not pattern.fullmatch(values[key]):
            raise PlatformError(47003, f"argument invalid! data.{key}.value invalid")
    return values
