"""By which way a message may reach somebody now. Pure: facts in, ways in order out."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bot.accounts import NoticeTemplate
from bot.send_policies import Policy
from loyalty.consents.rules import marketing_purpose
from loyalty.reach.queries import Reachable, Recipient

CUSTOMER_SERVICE: Final = "customer_service"
SUBSCRIBE: Final = "subscribe"
TEMPLATE: Final = "template"
MESSAGE: Final = "message"
GROUP_SEND: Final = "group_send"

TemplateOf = Callable[[Reachable, str], NoticeTemplate | None]
"""The template of the notice for an identity's account on a route."""


@dataclass(frozen=True, slots=True)
class Way:
    """One identity by one route, with the template where the route needs one."""

    identity: Reachable
    route: str
    template: NoticeTemplate | None = None

    @property
    def spot(self) -> tuple[str, str, str]:
        """What rests together when the platform says stop."""
        return (self.identity.channel, self.identity.account, self.route)


@dataclass(frozen=True, slots=True)
class _Route:
    """One permitted way of a channel, in the order of preference."""

    channel: str
    route: str


# What the person asked for comes first, then what they allowed, then what the platform lets us say unasked.
ROUTES: Final = (
    _Route("wechat_oa", CUSTOMER_SERVICE),
    _Route("wechat_oa", SUBSCRIBE),
    _Route("wechat_oa", TEMPLATE),
    _Route("wechat_mini", CUSTOMER_SERVICE),
    _Route("wechat_mini", SUBSCRIBE),
    _Route("telegram", MESSAGE),
    _Route("wecom", GROUP_SEND),
)


def marketing_purposes(recipient: Recipient) -> set[str]:
    """The consents that matter for marketing to this person."""
    return {marketing_purpose(identity.channel) for identity in recipient.identities}


def ways_to(
    recipient: Recipient,
    policy: Policy,
    template_of: TemplateOf,
    *,
    marketing: bool,
    allowed: Collection[str] = (),
    only_identity: int | None = None,
) -> list[Way]:
    """Every way that is open now, best first; of equal ways the identity seen last comes first.

    Marketing goes only to channels whose purpose is in `allowed`, never by template, and by WeCom only through
    a member of staff who confirms it; everything else never goes by WeCom's group send.
    """
    reachable = [
        identity
        for identity in recipient.identities
        if not _is_gone(identity)
        and (only_identity is None or identity.identity_id == only_identity)
        and (not marketing or marketing_purpose(identity.channel) in allowed)
    ]
    return [
        way
        for row in ROUTES
        for identity in reachable
        if identity.channel == row.channel
        for way in _open(identity, row.route, policy, template_of, marketing=marketing)
    ]


def _is_gone(identity: Reachable) -> bool:
    # A window that opened after a refusal shows that the person spoke to us again; leaving closes that door, too.
    return identity.state == "left" or (identity.state == "blocked" and not identity.window_left)


def _open(
    identity: Reachable, route: str, policy: Policy, template_of: TemplateOf, *, marketing: bool
) -> Iterator[Way]:
    match route:
        case "customer_service" if identity.window_left > 0:
            yield Way(identity, route)
        case "subscribe":
            template = template_of(identity, route)
            if template is not None and identity.grants.get(template.template_id, 0) > 0:
                yield Way(identity, route, template)
        case "template" if policy.by_template and not marketing:
            template = template_of(identity, route)
            if template is not None:
                yield Way(identity, route, template)
        case "message":
            yield Way(identity, route)
        case "group_send" if marketing and identity.staff_user_id:
            yield Way(identity, route)
        case _:
            return


def template_data(template: NoticeTemplate, facts: Mapping[str, object]) -> dict[str, str]:
    """The template's fields filled with facts.

    Raises:
        KeyError: the configuration names a fact that the notice does not have.
    """
    return {name: _text(facts[fact]) for name, fact in template.fields.items()}


def _text(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
