"""Who may do what: one function, one literal matrix, deny by default.

A right is a role's reach over an action: nowhere (no row), in its own store, or everywhere. Nobody acts
on their own membership, and whoever asked for value does not approve it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from loyalty.errors import Forbidden
from loyalty.program.terms import StaffLimits


class Role(StrEnum):
    """What somebody is employed to do; auditor, security and system administrator are three people (三权分立)."""

    CLERK = "clerk"
    MANAGER = "manager"
    MARKETER = "marketer"
    FINANCE = "finance"
    AUDITOR = "auditor"
    SECURITY_ADMIN = "security_admin"
    SYSTEM_ADMIN = "system_admin"


class Action(StrEnum):
    """Everything that is asked permission for."""

    SELF_READ = "self.read"
    SELF_WRITE = "self.write"
    MEMBER_FIND = "member.find"
    MEMBER_REGISTER = "member.register"
    MEMBER_REVEAL = "member.reveal"
    PURCHASE_RECORD = "purchase.record"
    PURCHASE_REFUND = "purchase.refund"
    EVENT_REPORT = "event.report"
    COUPON_REDEEM = "coupon.redeem"
    COUPON_UNDO = "coupon.undo"
    POINTS_GRANT = "points.grant"
    POINTS_DEDUCT = "points.deduct"
    MALL_FULFIL = "mall.fulfil"
    MALL_REFUND = "mall.refund"
    STORED_VALUE_READ = "stored_value.read"
    STORED_VALUE_TOP_UP = "stored_value.top_up"
    STORED_VALUE_PAY_OUT = "stored_value.pay_out"
    STORED_VALUE_FREEZE = "stored_value.freeze"
    TIER_READ = "tier.read"
    TIER_OVERRIDE = "tier.override"
    APPROVAL_READ = "approval.read"
    APPROVAL_DECIDE = "approval.decide"
    STORE_READ = "store.read"
    CAMPAIGN_READ = "campaign.read"
    CAMPAIGN_EDIT = "campaign.edit"
    TERMS_READ = "terms.read"
    TERMS_PROPOSE = "terms.propose"
    TERMS_APPROVE = "terms.approve"
    LEDGER_READ = "ledger.read"
    EXPORT = "export"
    AUDIT_READ = "audit.read"
    STAFF_READ = "staff.read"
    STAFF_EDIT = "staff.edit"
    OPERATE = "operate"


class Reach(StrEnum):
    """How far a right goes."""

    OWN_STORE = "own_store"
    EVERYWHERE = "everywhere"


@dataclass(frozen=True, slots=True)
class MemberPrincipal:
    """A member, acting for themselves only."""

    member_id: int


@dataclass(frozen=True, slots=True)
class StaffPrincipal:
    """A member of staff; `member_id` is their own membership, which they may not serve."""

    staff_id: int
    role: Role
    store_id: int | None = None
    member_id: int | None = None


@dataclass(frozen=True, slots=True)
class PartnerPrincipal:
    """A till or another system; without a store it speaks for every store of the brand."""

    partner_id: int
    store_id: int | None = None


@dataclass(frozen=True, slots=True)
class SystemPrincipal:
    """The product itself: a sweep, a journey, an import, the command line."""

    name: str


Principal = MemberPrincipal | StaffPrincipal | PartnerPrincipal | SystemPrincipal


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What is acted on: the store where it happens (None: of no store), the member who gains or is seen,
    and the member of staff who asked, when this is about an approval."""

    store_id: int | None = None
    member_id: int | None = None
    requested_by: int | None = None


NOTHING: Final = Resource()


@dataclass(frozen=True, slots=True)
class Limit:
    """What one person may do without another, in points, or in fen of a refund: at once, and in one business day."""

    per_grant: int
    per_day: int


@dataclass(frozen=True, slots=True)
class Allow:
    """Yes. `mask`: personal values stay masked. `needs_reason`: the principal writes down why.
    `limit`: what may be done alone. `needs_approval`: another person decides first."""

    mask: bool = True
    needs_reason: bool = False
    limit: Limit | None = None
    needs_approval: bool = False


class OtherStore(Forbidden):
    """The principal's right ends at their own store."""

    code = "access.other_store"


class OwnMembership(Forbidden):
    """The beneficiary is the member of staff themselves."""

    code = "access.own_membership"


class OwnRequest(Forbidden):
    """Whoever asked for value does not approve it."""

    code = "access.own_request"


class NeedsAnother(Forbidden):
    """The principal may ask for it, but another person decides, and this verb has no way to ask."""

    code = "access.needs_another"


@dataclass(frozen=True, slots=True)
class Right:
    """One cell of the matrix."""

    reach: Reach = Reach.OWN_STORE
    mask: bool = True
    needs_reason: bool = False
    needs_approval: bool = False


_HERE: Final = Right()
_EVERYWHERE: Final = Right(Reach.EVERYWHERE)
_REVEAL_HERE: Final = Right(mask=False, needs_reason=True)
_REVEAL_EVERYWHERE: Final = Right(Reach.EVERYWHERE, mask=False, needs_reason=True)
_REVEAL_ASKING: Final = Right(Reach.EVERYWHERE, mask=False, needs_reason=True, needs_approval=True)
_ASKING: Final = Right(Reach.EVERYWHERE, needs_approval=True)

MATRIX: Final[Mapping[Role, Mapping[Action, Right]]] = {
    Role.CLERK: {
        Action.MEMBER_FIND: _HERE,
        Action.MEMBER_REGISTER: _HERE,
        Action.PURCHASE_RECORD: _HERE,
        Action.COUPON_REDEEM: _HERE,
        Action.POINTS_GRANT: _HERE,
        Action.POINTS_DEDUCT: _HERE,
        Action.MALL_FULFIL: _HERE,
        Action.STORED_VALUE_READ: _HERE,
        Action.STORED_VALUE_TOP_UP: _HERE,
    },
    Role.MANAGER: {
        Action.MEMBER_FIND: _HERE,
        Action.MEMBER_REGISTER: _HERE,
        Action.MEMBER_REVEAL: _REVEAL_HERE,
        Action.PURCHASE_RECORD: _HERE,
        Action.PURCHASE_REFUND: _HERE,
        Action.COUPON_REDEEM: _HERE,
        Action.COUPON_UNDO: _HERE,
        Action.POINTS_GRANT: _HERE,
        Action.POINTS_DEDUCT: _HERE,
        Action.MALL_FULFIL: _HERE,
        Action.MALL_REFUND: _HERE,
        Action.STORED_VALUE_READ: _HERE,
        Action.STORED_VALUE_TOP_UP: _HERE,
        Action.STORED_VALUE_PAY_OUT: _HERE,
        Action.STORED_VALUE_FREEZE: _HERE,
        Action.TIER_READ: _HERE,
        Action.TIER_OVERRIDE: _HERE,
        Action.APPROVAL_READ: _HERE,
        Action.APPROVAL_DECIDE: _HERE,
        Action.STORE_READ: _HERE,
        Action.CAMPAIGN_READ: _EVERYWHERE,
        Action.AUDIT_READ: _HERE,
    },
    Role.MARKETER: {
        Action.CAMPAIGN_READ: _EVERYWHERE,
        Action.CAMPAIGN_EDIT: _EVERYWHERE,
        Action.TERMS_READ: _EVERYWHERE,
        Action.TERMS_PROPOSE: _EVERYWHERE,
        Action.EXPORT: _ASKING,
    },
    Role.FINANCE: {
        Action.MEMBER_FIND: _EVERYWHERE,
        Action.MEMBER_REVEAL: _REVEAL_EVERYWHERE,
        Action.PURCHASE_REFUND: _EVERYWHERE,
        Action.POINTS_DEDUCT: _EVERYWHERE,
        Action.MALL_REFUND: _EVERYWHERE,
        Action.STORED_VALUE_READ: _EVERYWHERE,
        Action.STORED_VALUE_PAY_OUT: _EVERYWHERE,
        Action.STORED_VALUE_FREEZE: _EVERYWHERE,
        Action.TIER_READ: _EVERYWHERE,
        Action.TIER_OVERRIDE: _EVERYWHERE,
        Action.APPROVAL_READ: _EVERYWHERE,
        Action.APPROVAL_DECIDE: _EVERYWHERE,
        Action.STORE_READ: _EVERYWHERE,
        Action.CAMPAIGN_READ: _EVERYWHERE,
        Action.TERMS_READ: _EVERYWHERE,
        Action.TERMS_APPROVE: _EVERYWHERE,
        Action.LEDGER_READ: _EVERYWHERE,
        Action.EXPORT: _EVERYWHERE,
        Action.AUDIT_READ: _EVERYWHERE,
    },
    Role.AUDITOR: {
        Action.MEMBER_FIND: _EVERYWHERE,
        Action.MEMBER_REVEAL: _REVEAL_ASKING,
        Action.STORED_VALUE_READ: _EVERYWHERE,
        Action.TIER_READ: _EVERYWHERE,
        Action.APPROVAL_READ: _EVERYWHERE,
        Action.STORE_READ: _EVERYWHERE,
        Action.CAMPAIGN_READ: _EVERYWHERE,
        Action.TERMS_READ: _EVERYWHERE,
        Action.LEDGER_READ: _EVERYWHERE,
        Action.AUDIT_READ: _EVERYWHERE,
        Action.STAFF_READ: _EVERYWHERE,
    },
    Role.SECURITY_ADMIN: {
        Action.AUDIT_READ: _EVERYWHERE,
        Action.STAFF_READ: _EVERYWHERE,
        Action.STAFF_EDIT: _ASKING,
    },
    Role.SYSTEM_ADMIN: {Action.OPERATE: _EVERYWHERE},
}
"""Role by action; what has no cell is refused."""

PARTNER_ACTIONS: Final = frozenset(
    {
        Action.EVENT_REPORT,
        Action.MEMBER_FIND,
        Action.PURCHASE_RECORD,
        Action.PURCHASE_REFUND,
        Action.STORED_VALUE_READ,
        Action.STORED_VALUE_TOP_UP,
    }
)
MEMBER_ACTIONS: Final = frozenset({Action.SELF_READ, Action.SELF_WRITE})
SYSTEM_ACTIONS: Final = frozenset(
    {
        Action.MEMBER_FIND,
        Action.MEMBER_REGISTER,
        Action.PURCHASE_RECORD,
        Action.PURCHASE_REFUND,
        Action.EVENT_REPORT,
        Action.CAMPAIGN_EDIT,
        Action.TERMS_PROPOSE,
        Action.TERMS_APPROVE,
        Action.STAFF_EDIT,
        Action.OPERATE,
    }
)

# Whatever gives value to the member it is done for: staff never do these for themselves.
GAINFUL: Final = frozenset(
    {
        Action.MEMBER_REGISTER,
        Action.PURCHASE_RECORD,
        Action.PURCHASE_REFUND,
        Action.COUPON_REDEEM,
        Action.COUPON_UNDO,
        Action.MALL_FULFIL,
        Action.MALL_REFUND,
        Action.POINTS_GRANT,
        Action.POINTS_DEDUCT,
        Action.STORED_VALUE_TOP_UP,
        Action.STORED_VALUE_PAY_OUT,
        Action.STORED_VALUE_FREEZE,
        Action.TIER_OVERRIDE,
        Action.APPROVAL_DECIDE,
    }
)


def authorize(
    principal: Principal, action: Action, resource: Resource = NOTHING, *, limits: StaffLimits | None = None
) -> Allow:
    """Whether `principal` may do `action` to `resource`, and under which conditions.

    `limits` are those of the terms in force; without them a grant is allowed up to the built-in ones.

    Raises:
        OtherStore, OwnMembership, OwnRequest: what stands in the way, to people of a role that may.
        Forbidden: everybody else.
    """
    match principal:
        case StaffPrincipal():
            return _staff(principal, action, resource, limits or StaffLimits())
        case MemberPrincipal():
            if action in MEMBER_ACTIONS and resource.member_id in {None, principal.member_id}:
                return Allow(mask=False)
        case PartnerPrincipal():
            if action in PARTNER_ACTIONS:
                _check_store(principal.store_id, resource, everywhere=principal.store_id is None)
                return Allow()
        case SystemPrincipal():
            if action in SYSTEM_ACTIONS:
                return Allow()
        case _:
            assert_never(principal)
    raise Forbidden(action=action.value)


def authorize_alone(principal: Principal, action: Action, resource: Resource = NOTHING) -> Allow:
    """`authorize` for verbs that act at once.

    Raises:
        NeedsAnother: the principal may only ask.
        Forbidden: as `authorize`.
    """
    allowed = authorize(principal, action, resource)
    if allowed.needs_approval:
        raise NeedsAnother(action=action.value)
    return allowed


def _staff(principal: StaffPrincipal, action: Action, resource: Resource, limits: StaffLimits) -> Allow:
    right = MATRIX[principal.role].get(action)
    if right is None:
        raise Forbidden(action=action.value)
    _check_store(principal.store_id, resource, everywhere=right.reach is Reach.EVERYWHERE)
    if action in GAINFUL and resource.member_id is not None and resource.member_id == principal.member_id:
        raise OwnMembership(action=action.value)
    if action is Action.APPROVAL_DECIDE and resource.requested_by == principal.staff_id:
        raise OwnRequest(action=action.value)
    return Allow(
        mask=right.mask,
        needs_reason=right.needs_reason,
        limit=_limit(principal.role, action, limits),
        needs_approval=right.needs_approval,
    )


def _check_store(own: int | None, resource: Resource, *, everywhere: bool) -> None:
    if everywhere:
        return
    if own is None or resource.store_id not in {None, own}:
        raise OtherStore(store_id=resource.store_id)


def _limit(role: Role, action: Action, limits: StaffLimits) -> Limit | None:
    match action:
        case Action.POINTS_GRANT if role is Role.MANAGER:
            return Limit(limits.manager_grant, limits.manager_day)
        case Action.POINTS_GRANT:
            return Limit(limits.clerk_grant, limits.clerk_day)
        case Action.POINTS_DEDUCT if role is Role.CLERK:
            return Limit(limits.clerk_deduct, limits.clerk_deduct_day)
        case Action.POINTS_DEDUCT:
            return Limit(limits.manager_deduct, limits.manager_deduct_day)
        case Action.PURCHASE_REFUND if role is Role.FINANCE:
            return Limit(limits.finance_refund_fen, limits.finance_refund_day_fen)
        case Action.PURCHASE_REFUND:
            return Limit(limits.manager_refund_fen, limits.manager_refund_day_fen)
        case _:
            return None
