"""The neutral vocabulary between platforms and conversation.

A channel turns its wire format into `Inbound` and a `Reply` back into its wire format; nothing that a
handler sees or says depends on a platform. Everything here is frozen: a message is a fact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

ChannelName = Literal["wechat_oa", "wechat_mini", "wecom", "telegram"]


class SenderKind(StrEnum):
    """Who may speak: a member, a member of staff (WeCom), or the platform itself about somebody."""

    MEMBER = "member"
    STAFF = "staff"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Sender:
    """A person as one platform knows them.

    `app_id` scopes `external_id`: an openid belongs to one app, a WeCom id to one corp, a Telegram id
    to one bot. `union_id` is set only when the platform itself vouches for it in this very message.
    """

    channel: ChannelName
    account: str
    app_id: str
    external_id: str
    kind: SenderKind = SenderKind.MEMBER
    union_id: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Words typed by a person."""

    text: str


@dataclass(frozen=True, slots=True)
class Click:
    """A menu entry, inline button or msgmenu item; `key` is ours, `token` is what the platform needs to
    acknowledge the press (Telegram callback query id, WeCom response code)."""

    key: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Follow:
    """The person follows, starts the bot or unblocks it; `scene` is the QR scene or start payload."""

    scene: str | None = None


@dataclass(frozen=True, slots=True)
class Unfollow:
    """The person unfollowed or blocked us: nothing may be sent any more."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Somebody who already follows scans a QR code with `scene`, or staff scan a code into the chat."""

    scene: str


@dataclass(frozen=True, slots=True)
class EnterChat:
    """The chat was opened (mini-program session, WeCom application)."""

    source: str | None = None


@dataclass(frozen=True, slots=True)
class SharedContact:
    """A phone number that the platform vouches to be the sender's own, as the platform spells it."""

    phone: str


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, voice, place or file; `kind` is the platform's type, `fields` what is worth keeping."""

    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)


class SubscribeChoice(StrEnum):
    """One answer for one template."""

    ACCEPT = "accept"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class SubscribeGrants:
    """What the person answered for subscribe-message templates (popup), or changed later (`managed`)."""

    choices: Mapping[str, SubscribeChoice]
    managed: bool = False


class SendOutcome(StrEnum):
    """What a platform told about a message sent before."""

    DELIVERED = "delivered"
    BLOCKED = "blocked"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SendReport:
    """The platform reports the fate of an earlier send."""

    platform_message_id: str
    outcome: SendOutcome
    template_id: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuthorisationRevoked:
    """The person withdrew data given to the platform, or closed the account (`cancelled`)."""

    revoke_codes: tuple[str, ...] = ()
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class CustomerAdded:
    """A customer became a WeCom contact of `staff_id`; `welcome_code` lives 20 seconds."""

    staff_id: str
    external_user_id: str
    state: str | None = None
    welcome_code: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerRemoved:
    """The WeCom contact ended; `by_customer` tells who ended it."""

    staff_id: str
    external_user_id: str
    by_customer: bool


@dataclass(frozen=True, slots=True)
class StaffChanged:
    """The corp's address book changed: a staff account was removed or moved."""

    staff_id: str
    removed: bool


@dataclass(frozen=True, slots=True)
class CardPressed:
    """A button of a template card; `response_code` allows one update of that card."""

    task_id: str
    key: str
    response_code: str | None = None


@dataclass(frozen=True, slots=True)
class Unhandled:
    """A kind of push that membership does not act on: recognised by name or not, it is stored and acknowledged."""

    kind: str
    recognised: bool
    fields: Mapping[str, str] = field(default_factory=dict)


Content = (
    Text
    | Click
    | Follow
    | Unfollow
    | Scan
    | EnterChat
    | SharedContact
    | Media
    | SubscribeGrants
    | SendReport
    | AuthorisationRevoked
    | CustomerAdded
    | CustomerRemoved
    | StaffChanged
    | CardPressed
    | Unhandled
)


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message or event as it reached us.

    `key` identifies it for deduplication within (channel, account): the platform repeats a delivery
    with the same key, and the same key always gets the same answer. `addressed_to` is the platform's own
    name of our account (`gh_…`), which some passive replies must repeat.
    """

    sender: Sender
    key: str
    sent_at: datetime
    content: Content
    addressed_to: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """Something to press: `key` comes back as `Click.key`; with `url` it opens a page instead."""

    text: str
    key: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A permanent entrance that a channel installs: a menu entry, or a command where there is no menu.

    `key` comes back as `Click.key`, `url` opens a page, `children` make a second level; `command` is the
    word of a command-driven channel (Telegram), without the slash. With `camera` the entry opens the camera
    and what it reads comes back as `Scan`, where the platform can do that.
    """

    text: str
    key: str = ""
    url: str | None = None
    command: str = ""
    camera: bool = False
    children: tuple["MenuItem", ...] = ()


class Ask(StrEnum):
    """What a reply asks the platform's client to offer beside text."""

    NOTHING = "nothing"
    SHARE_CONTACT = "share_contact"


@dataclass(frozen=True, slots=True)
class CardRow:
    """One line of a card: label and value."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Card:
    """A card for staff (WeCom template card) or a boxed message elsewhere.

    `task_id` is unique per card and ties a later `CardPressed` to what was shown.
    """

    title: str
    rows: tuple[CardRow, ...] = ()
    body: str = ""
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say back. An empty `text` without card means: acknowledge and say nothing."""

    text: str = ""
    buttons: tuple[Button, ...] = ()
    card: Card | None = None
    ask: Ask = Ask.NOTHING

    @property
    def is_silent(self) -> bool:
        """True when the platform should only be acknowledged."""
        return not self.text and self.card is None


SILENT: Final = Reply()
