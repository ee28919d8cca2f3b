"""What WeCom remembers about one corporation's app."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class CorpToken:
    """One access token per secret; asking again returns the same one."""

    value: str
    secret_kind: str
    expires_at: float
    revoked: bool = False


@dataclass
class Contact:
    """A customer relation between one staff member and one customer (both sandbox ids)."""

    staff: str
    customer: str
    since: int
    state: str = ""
    add_way: int = 1
    remark: str = ""
    description: str = ""
    remark_mobiles: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


@dataclass
class WelcomeCode:
    """Good once, for 20 seconds."""

    value: str
    staff: str
    customer: str
    expires_at: float
    used: bool = False


@dataclass
class ContactWay:
    """A 联系我 code: who is reached and which channel state it carries."""

    config_id: str
    state: str
    users: list[str]
    remark: str = ""
    skip_verify: bool = True
    type: int = 1
    scene: int = 2


@dataclass
class GroupMessage:
    """A 企业群发: nothing is sent before the staff confirm. `confirmed` is by staff, `results` by `staff/customer`."""

    msgid: str
    text: str
    created_at: int
    attachments: list[dict[str, Any]]
    targets: dict[str, list[str]]
    confirmed: dict[str, int] = field(default_factory=dict)
    results: dict[str, int] = field(default_factory=dict)
    cancelled: bool = False
    reminders: list[float] = field(default_factory=list)


@dataclass
class AppMessage:
    """A message the app sent to staff: which line it made on whose screen."""

    msgid: str
    at: float
    lines: dict[str, int]
    payload: dict[str, Any]


@dataclass
class ResponseCode:
    """The right to change a template card once."""

    value: str
    msgid: str
    expires_at: float
    used: bool = False


@dataclass
class StaffCode:
    """A code of the staff OAuth page."""

    value: str
    person: str
    scope: str
    expires_at: float
    used: bool = False


@dataclass
class CorpTag:
    """A customer tag of the corporation."""

    id: str
    name: str
    group_id: str
    group_name: str
    created_at: int


@dataclass
class WecomState:
    """Everything one app owns; people are named by sandbox id."""

    tokens: dict[str, CorpToken] = field(default_factory=dict)
    contacts: list[Contact] = field(default_factory=list)
    welcome_codes: dict[str, WelcomeCode] = field(default_factory=dict)
    ways: dict[str, ContactWay] = field(default_factory=dict)
    group_messages: dict[str, GroupMessage] = field(default_factory=dict)
    messages: dict[str, AppMessage] = field(default_factory=dict)
    response_codes: dict[str, ResponseCode] = field(default_factory=dict)
    staff_codes: dict[str, StaffCode] = field(default_factory=dict)
    corp_tags: dict[str, CorpTag] = field(default_factory=dict)
    menu: list[dict[str, Any]] = field(default_factory=list)
    recent_sends: dict[str, list[float]] = field(default_factory=dict)
    duplicate_checks: dict[str, float] = field(default_factory=dict)
    tickets: dict[str, str] = field(default_factory=dict)

    def contact(self, staff: str, customer: str) -> Contact | None:
        """The relation of these two, if they have one."""
        return next((c for c in self.contacts if c.staff == staff and c.customer == customer), None)
