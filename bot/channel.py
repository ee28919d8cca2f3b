"""What a channel must be able to do: the contract that every platform folder fulfils."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Protocol, cast, runtime_checkable

from bot.accounts import NoticeTemplate
from handlers.messages import ChannelName, Inbound, Reply


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A callback as it came over HTTP, before anything in it is believed."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class RawResponse:
    """What goes back over HTTP in the same round trip."""

    body: bytes = b""
    content_type: str = "text/plain"
    status: int = 200


class Forged(Exception):
    """The callback could not be proven to come from the platform; nothing of it was read. Answer 403."""


class Malformed(Exception):
    """The callback is genuine or unverifiable but unreadable. Answer 400 and keep nothing."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """The platform checks that the address is ours: answer `response` and do nothing else."""

    response: RawResponse


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified callback: its messages, and how to answer them in the same round trip."""

    messages: tuple[Inbound, ...]


class SendClass(StrEnum):
    """Why a message is sent; decides what may follow an unknown outcome and which routes are lawful."""

    REPLY = "reply"
    SERVICE_NOTICE = "service_notice"
    MARKETING = "marketing"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The platform took the message."""

    platform_message_id: str | None = None
    response_code: str | None = None


class RejectReason(StrEnum):
    """Why a platform refused, in terms of what to do next."""

    BLOCKED = "blocked"  # the person cannot be reached on this channel any more
    NO_WINDOW = "no_window"  # interaction window closed or used up: try another route
    NO_GRANT = "no_grant"  # no subscribe grant left: local counter goes to zero
    CONTENT = "content"  # fix or drop, never retry unchanged
    CONFIGURATION = "configuration"  # alert and stop this account
    QUOTA = "quota"  # stop this API until `retry_at`
    RATE = "rate"  # transient: retry after `retry_after_s`


@dataclass(frozen=True, slots=True)
class Rejected:
    """The platform refused; `retry_after_s` is set only when trying again later can help."""

    reason: RejectReason
    code: str
    detail: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request may or may not have been carried out (timeout after sending, connection lost)."""

    detail: str = ""


SendResult = Accepted | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for one person on one route of one channel.

    `route` is a channel's own name for a way to send, see its `routes`. `client_message_id` repeats on
    a retry so that platforms with deduplication drop the second copy.
    """

    account: str
    external_id: str
    route: str
    reply: Reply
    client_message_id: str
    template_id: str | None = None
    template_data: Mapping[str, str] | None = None
    page: str | None = None
    token: str | None = None


class Channel(Protocol):
    """One account of one platform. Constructed once per configured account by `bot/registry.py`.

    `routes` are the ways to send that `Outgoing.route` may name.
    """

    name: ChannelName
    account: str
    app_id: str
    routes: tuple[str, ...]

    def open(self, request: RawRequest) -> Handshake | Delivery:
        """Verify, then decode.

        Raises:
            Forged: signature, secret, window, application id or mode is wrong.
            Malformed: the bytes are not a message of this platform.
        """
        ...

    def answer(self, reply: Reply, *, to: Inbound, now: datetime) -> RawResponse:
        """The passive reply to `to`, or the platform's acknowledgement when `reply` is silent."""
        ...

    def acknowledge(self) -> RawResponse:
        """What tells the platform "received" without saying anything to the person."""
        ...

    async def send(self, message: Outgoing) -> SendResult:
        """One attempt over the network. Never raises for what a platform or network can do."""
        ...


@runtime_checkable
class FollowsUp(Protocol):
    """A channel whose passive answer cannot carry every reply: a pressed Telegram button keeps spinning until it is
    acknowledged separately, WeCom shows cards with buttons only when they are sent, and a mini-program shows nothing
    of a callback's response at all."""

    def follow_ups(self, reply: Reply, *, to: Inbound) -> tuple[Outgoing, ...]:
        """What must still be sent after `answer(reply, to=to)`. Equal arguments give equal `client_message_id`s."""
        ...


@runtime_checkable
class NeedsTemplates(Protocol):
    """A channel that reaches people outside a conversation only by templates registered with its platform."""

    def template_for(self, notice: str, route: str) -> NoticeTemplate | None:
        """The template configured for `notice` on `route`; None when the account has none."""
        ...


def follow_ups(channel: Channel, reply: Reply, *, to: Inbound) -> tuple[Outgoing, ...]:
    """What `channel` must still send after answering `to` with `reply`; nothing on most channels."""
    if not _follows_up(type(channel)):
        return ()
    return cast("FollowsUp", channel).follow_ups(reply, to=to)


@cache
def _follows_up(kind: type) -> bool:
    """Asked for every message, and slow to find out for a protocol."""
    return issubclass(kind, FollowsUp)


@runtime_checkable
class TellsUnions(Protocol):
    """A channel whose messages carry no unionid but whose platform tells it when asked (公众号)."""

    async def union_id_of(self, external_id: str) -> str | None:
        """The unionid that the platform vouches for, None when it has none to tell.

        Raises:
            CallFailed: the platform refused or did not answer.
        """
        ...
