"""Field types of subscribe and category templates (订阅消息, 类目模板): checked before the platform refuses them.

The type is the letters of the field's name: `thing1`, `amount3`, `character_string2`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

_THING_CHARACTERS: Final = 20
_SYMBOL_CHARACTERS: Final = 5
_PLATE_CHARACTERS: Final = 8
_TYPE: Final = re.compile(r"([a-z_]+?)[0-9]*", re.ASCII)
_BREAKS: Final = re.compile(r"\s*[\r\n]+\s*")
_HAN_UP_TO_5: Final = re.compile(r"[\u3400-\u9fff]{1,5}")
_HAN_UP_TO_10: Final = re.compile(r"[\u3400-\u9fff·]{1,10}|[^\u3400-\u9fff]{1,20}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,32}(\.[0-9]{1,32})?", re.ASCII)
_LETTERS: Final = re.compile(r"[A-Za-z]{1,32}", re.ASCII)
_CHARACTERS: Final = re.compile(r"[\x21-\x7e]{1,32}", re.ASCII)
_AMOUNT: Final = re.compile(r"[^\d\s]?[0-9]{1,10}(\.[0-9]{1,2})?元?", re.ASCII)
_PHONE: Final = re.compile(r"[0-9+\-#* ]{1,17}", re.ASCII)

_FITS: Final[Mapping[str, Callable[[str], bool]]] = {
    "number": lambda value: _NUMBER.fullmatch(value) is not None,
    "letter": lambda value: _LETTERS.fullmatch(value) is not None,
    "symbol": lambda value: len(value) <= _SYMBOL_CHARACTERS,
    "character_string": lambda value: _CHARACTERS.fullmatch(value) is not None,
    "time": lambda value: any(character.isdigit() for character in value),
    "date": lambda value: any(character.isdigit() for character in value),
    "amount": lambda value: _AMOUNT.fullmatch(value) is not None,
    "phone_number": lambda value: _PHONE.fullmatch(value) is not None,
    "car_number": lambda value: len(value) <= _PLATE_CHARACTERS,
    "name": lambda value: _HAN_UP_TO_10.fullmatch(value) is not None,
    "phrase": lambda value: _HAN_UP_TO_5.fullmatch(value) is not None,
}


class FieldRefused(Exception):
    """A value that the platform would refuse (47003); `name` is the template's field."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def fitted(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Template data as the platform takes it: line breaks become spaces and a long `thing` is cut at 20.

    Raises:
        FieldRefused: a value is empty or does not have its field's form.
    """
    return {name: {"value": _fit(name, value)} for name, value in values.items()}


def _fit(name: str, value: str) -> str:
    line = _BREAKS.sub(" ", value).strip()
    kind = _TYPE.fullmatch(name)
    form = kind.group(1) if kind is not None else ""
    if form == "thing" and len(line) > _THING_CHARACTERS:
        line = line[: _THING_CHARACTERS - 1].rstrip("\u200d\ufe0f") + "…"
    if not line or not _FITS.get(form, bool)(line):
        raise FieldRefused(name)
    return line
