"""What an act is: a person doing something on a channel, and what came of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bot.sandbox.config import TelegramAccount, WechatAccount, WecomAccount
from bot.sandbox.deliver import Delivery
from bot.sandbox.stage import Stage
from bot.sandbox.world import Button, Line, Person

Kind = TypeVar("Kind", WechatAccount, WecomAccount, TelegramAccount)


class BadAct(ValueError):
    """The person cannot do that: a wrong parameter, or the wrong moment."""


@dataclass(frozen=True)
class Act:
    """Who does it, on which account, with which parameters."""

    stage: Stage
    person: Person
    channel: str
    body: dict[str, Any]

    @property
    def account_name(self) -> str:
        """The account that was asked for."""
        return str(self.body.get("account") or "")

    @property
    def wechat(self) -> WechatAccount:
        """The official account or mini-program."""
        return self._account(WechatAccount)

    @property
    def wecom(self) -> WecomAccount:
        """The WeCom app."""
        return self._account(WecomAccount)

    @property
    def telegram(self) -> TelegramAccount:
        """The bot."""
        return self._account(TelegramAccount)

    def _account(self, kind: type[Kind]) -> Kind:
        account = self.stage.account(self.channel, self.account_name)
        if not isinstance(account, kind):
            raise BadAct(f"{self.channel} has no such act")
        return account

    @property
    def now(self) -> float:
        """World time."""
        return self.stage.clock.world()

    def text(self, name: str, default: str | None = None) -> str:
        """A text parameter. Raises BadAct when it is missing and has no default."""
        value = self.body.get(name, default)
        if value is None or not isinstance(value, str | int):
            raise BadAct(f"{name} is needed")
        return str(value)

    def texts(self, name: str) -> list[str]:
        """A list of texts. Raises BadAct."""
        value = self.body.get(name)
        if not isinstance(value, list) or not value:
            raise BadAct(f"{name} must be a list")
        return [str(item) for item in value]

    def fields(self) -> dict[str, Any]:
        """Raw wire fields. Raises BadAct."""
        value = self.body.get("fields", {})
        if not isinstance(value, dict):
            raise BadAct("fields must be an object")
        return value

    def other(self, name: str) -> Person:
        """Somebody else. Raises BadAct."""
        person = self.stage.people.get(self.text(name))
        if person is None:
            raise BadAct(f"nobody is called {self.body.get(name)!r}")
        return person

    def menu_button(self, buttons: list[dict[str, Any]]) -> dict[str, Any]:
        """The button at `path` of a menu. Raises BadAct, also for one that only opens a sub-menu."""
        path = self.body.get("path")
        button: dict[str, Any] = {"sub_button": buttons}
        for index in path if isinstance(path, list) and path else [None]:
            children = button.get("sub_button") or []
            if not isinstance(index, int) or not 0 <= index < len(children):
                raise BadAct("path must be the positions of a button in the visible menu")
            button = children[index]
        if not button.get("type"):
            raise BadAct("that button only opens a sub-menu")
        return button

    def scanned(self) -> dict[str, Any]:
        """What a scan button of a menu read."""
        return {"ScanCodeInfo": {"ScanType": "qrcode", "ScanResult": self.text("result", "sandbox")}}

    def pressed(self) -> tuple[Line, Button]:
        """The button of a line on this person's screen. Raises BadAct."""
        try:
            line = self.stage.screens.find(self.person.id, int(self.text("line")))
        except ValueError:
            line = None
        if line is None or line.channel != self.channel:
            raise BadAct("no such line on this person's screen")
        wanted = self.text("button", "0")
        button = next((button for button in line.buttons if wanted == button.id), None)
        button = button or next((button for button in line.buttons if wanted in (button.text, button.value)), None)
        if button is None:
            raise BadAct("no such button on that line")
        return line, button


@dataclass
class Done:
    """What came of it: how the callback went, and what the person holds in their hand."""

    delivery: Delivery = field(default_factory=lambda: Delivery("none"))
    data: dict[str, Any] = field(default_factory=dict)


Verb = Callable[[Act], Awaitable[Done]]
