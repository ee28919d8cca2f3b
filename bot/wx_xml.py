"""XML as WeChat and WeCom speak it: a flat `<xml>` root, sometimes with small nested lists.

Nearly every push is a flat list of fields, which one pattern reads three times faster than a parser does. Whatever the
pattern does not cover goes to one pass of expat, with everything switched off that a genuine message never uses.
"""

import re
from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

from bot.channel import Malformed
from bot.wx_crypto import MAX_BODY_BYTES

Value = str | dict[str, "Value"] | list["Value"]
"""Text of a leaf, children of an element, or the values of an element that repeats."""

MAX_DEPTH: Final = 16
MAX_ELEMENTS: Final = 2_000

_INSIDE_ROOT: Final = 2
_MOST_FLAT: Final = 100
"""Genuine pushes have some twenty fields."""

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# One field of plain text or plain CDATA. A bracket, an entity or a carriage return is left to the parser: it knows.
_PLAIN: Final = r"\]\x00-\x08\x0b-\x1f\ufffe\uffff"
_FIELD: Final = re.compile(
    rf"[ \t\n]*<([A-Za-z][A-Za-z0-9_]*)>(?:<!\[CDATA\[([^{_PLAIN}]*)\]\]>|([^<&{_PLAIN}]*))</\1>[ \t\n]*", re.ASCII
)
_OPEN: Final = "<xml>"
_CLOSE: Final = "</xml>"


def parse(body: bytes) -> dict[str, Value]:
    """The children of the `<xml>` root.

    An element that occurs once is its text or its children; inside a nested element a repeated name
    becomes a list, while directly under the root it is refused: nobody may choose which sender is meant.

    Raises:
        Malformed: too long, not UTF-8, not well-formed, a DTD, too deep, too many elements, a repeated
            field, or another root.
    """
    if len(body) > MAX_BODY_BYTES:
        raise Malformed("body too long")
    try:
        text = body.decode("utf-8")
    except ValueError as error:
        raise Malformed("not UTF-8") from error
    return _flat(text) or _parsed(text)


def _flat(text: str) -> dict[str, Value] | None:
    """The fields of a flat document; None when it is not one, or has anything unusual about it."""
    if not (text.startswith(_OPEN) and text.endswith(_CLOSE)):
        return None
    at, end = len(_OPEN), len(text) - len(_CLOSE)
    fields: dict[str, Value] = {}
    while at < end:
        field = _FIELD.match(text, at, end)
        if field is None or field[1] in fields or len(fields) == _MOST_FLAT:
            return None
        fields[field[1]] = field[2] or field[3] or ""
        at = field.end()
    return fields


def _parsed(text: str) -> dict[str, Value]:
    tree = _Tree()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = tree.refuse_doctype
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.characters
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError) as error:
        raise Malformed("not well-formed XML") from error
    return tree.fields()


def cdata(text: str) -> str:
    """`text` as CDATA that survives `]]>` inside it; characters that XML cannot carry are dropped."""
    clean = _NOT_XML.sub("", text)
    return "<![CDATA[" + clean.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def render(fields: Mapping[str, str | int]) -> bytes:
    """An `<xml>` document with one element per field: numbers plain, text as CDATA."""
    parts = [f"<{name}>{value if isinstance(value, int) else cdata(value)}</{name}>" for name, value in fields.items()]
    return ("<xml>" + "".join(parts) + "</xml>").encode()


class _Tree:
    """Children per open element: the last one belongs to the innermost."""

    def __init__(self) -> None:
        self._open: list[dict[str, Value]] = [{}]
        self._text = ""
        self._elements = 0

    def refuse_doctype(self, *_declaration: object) -> None:
        raise Malformed("a document type declaration")

    def start(self, _name: str, _attributes: object) -> None:
        self._elements += 1
        if len(self._open) > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise Malformed("too deep or too many elements")
        self._open.append({})
        self._text = ""

    def characters(self, text: str) -> None:
        self._text += text

    def end(self, name: str) -> None:
        value: Value = self._open.pop() or self._text
        self._text = ""
        parent = self._open[-1]
        if name not in parent:
            parent[name] = value
            return
        if len(self._open) <= _INSIDE_ROOT:
            raise Malformed("a field occurs twice")
        present = parent[name]
        parent[name] = [*present, value] if isinstance(present, list) else [present, value]

    def fields(self) -> dict[str, Value]:
        fields = self._open[0].get("xml")
        if not isinstance(fields, dict):
            raise Malformed("not an <xml> message")
        return fields
