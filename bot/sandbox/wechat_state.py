"""What WeChat remembers about one official account or mini-program."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Token:
    """An access token. `family` is `token` or `stable`: the two kinds do not disturb each other."""

    value: str
    family: str
    expires_at: float
    revoked: bool = False


@dataclass
class Follow:
    """A follower as user/info describes them."""

    since: int
    scene_name: str
    qr_scene: str = ""
    tags: list[int] = field(default_factory=list)
    remark: str = ""


@dataclass
class Window:
    """How many customer-service messages may still be sent, and until when (world time)."""

    kind: str
    expires_at: float
    remaining: int


@dataclass
class Code:
    """A one-use code of OAuth, wx.login or the phone button."""

    value: str
    purpose: str
    person: str
    expires_at: float
    used: bool = False
    scope: str = ""
    snapshot: bool = False


@dataclass
class UserToken:
    """A per-user OAuth token, unrelated to the account's access token."""

    value: str
    refresh: str
    person: str
    openid: str
    scope: str
    expires_at: float
    snapshot: bool = False


@dataclass
class SceneCode:
    """A QR code with a scene. `expires_at` 0 means permanent."""

    ticket: str
    scene: str
    expires_at: float
    url: str


@dataclass
class ConditionalMenu:
    """A menu for those who match a rule."""

    menuid: int
    button: list[dict[str, Any]]
    matchrule: dict[str, str]


@dataclass
class Login:
    """The live wx.login session of one person in a mini-program."""

    session_key: str
    at: float


@dataclass
class Ticket:
    """A JS-SDK ticket."""

    value: str
    expires_at: float


@dataclass
class Sent:
    """A template message already accepted under a client_msg_id."""

    msgid: int
    until: float


@dataclass
class WechatState:
    """Everything one account owns; people are named by sandbox id."""

    tokens: dict[str, Token] = field(default_factory=dict)
    forced_at: list[float] = field(default_factory=list)
    follows: dict[str, Follow] = field(default_factory=dict)
    windows: dict[str, dict[str, Window]] = field(default_factory=dict)
    grants: dict[str, dict[str, int]] = field(default_factory=dict)
    menu: list[dict[str, Any]] | None = None
    conditional_menus: list[ConditionalMenu] = field(default_factory=list)
    tags: dict[int, str] = field(default_factory=dict)
    scenes: dict[str, SceneCode] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    user_tokens: dict[str, UserToken] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    sent_by_client_id: dict[str, Sent] = field(default_factory=dict)
    blacklist: list[str] = field(default_factory=list)
