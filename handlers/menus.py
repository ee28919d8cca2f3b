"""The permanent entrances: the official account's menu, Telegram's commands, the clerk's menu."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from handlers.messages import MenuItem
from handlers.render import environment

CAMERA: Final = "camera"


def official_account(public_url: str) -> Sequence[MenuItem]:
    """Three entries of at most five; keys come back as clicks."""
    return _menu("official_account", "zh-CN", public_url)


def staff() -> Sequence[MenuItem]:
    """The clerk's menu in WeCom."""
    return _menu("staff", "zh-CN", "")


def telegram(public_url: str) -> Mapping[str, Sequence[MenuItem]]:
    """Commands by ISO 639-1 language; the empty one is for everybody else."""
    return {"": _menu("telegram", "en", public_url), "zh": _menu("telegram", "zh-CN", public_url)}


def _menu(name: str, locale: str, public_url: str) -> list[MenuItem]:
    """Read `text | key or address | command | camera` lines; indented lines are children of the one above."""
    text = environment().get_template(f"menus/{locale}/{name}.j2").render(public_url=public_url)
    items: list[MenuItem] = []
    for line in filter(str.strip, text.splitlines()):
        label, target, command, how = [part.strip() for part in f"{line}|||".split("|")[:4]]
        is_page = target.startswith("http")
        item = MenuItem(
            text=label,
            key="" if is_page else target,
            url=target if is_page else None,
            command=command,
            camera=how == CAMERA,
        )
        if line.startswith("  ") and items:
            items[-1] = replace(items[-1], children=(*items[-1].children, item))
        else:
            items.append(item)
    return items
