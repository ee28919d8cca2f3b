"""The generated matrix: every role × every action × {own store, other store, self}, against a table written by hand."""

from itertools import product
from typing import Final, Literal

import pytest

from loyalty.access import (
    GAINFUL,
    MATRIX,
    Action,
    Allow,
    Limit,
    MemberPrincipal,
    OtherStore,
    OwnMembership,
    OwnRequest,
    PartnerPrincipal,
    Principal,
    Resource,
    Role,
    StaffPrincipal,
    SystemPrincipal,
    authorize,
)
from loyalty.errors import Forbidden
from loyalty.program.terms import StaffLimits

Place = Literal["own store", "other store", "self"]
OWN_STORE, OTHER_STORE, OWN_MEMBER, ANOTHER_MEMBER = 1, 2, 10, 20

# One line per action: for clerk, manager, marketer, finance, auditor, security_admin, system_admin.
# "-" refused, "o" own store, "e" everywhere, "a" everywhere but another person decides.
EXPECTED: Final[dict[Action, str]] = {
    Action.SELF_READ: "-------",
    Action.SELF_WRITE: "-------",
    Action.MEMBER_FIND: "oo-ee--",
    Action.MEMBER_REGISTER: "oo-----",
    Action.MEMBER_REVEAL: "-o-ea--",
    Action.PURCHASE_RECORD: "oo-----",
    Action.PURCHASE_REFUND: "-o-e---",
    Action.EVENT_REPORT: "-------",
    Action.COUPON_REDEEM: "oo-----",
    Action.COUPON_UNDO: "-o-----",
    Action.POINTS_GRANT: "oo-----",
    Action.POINTS_DEDUCT: "oo-e---",
    Action.MALL_FULFIL: "oo-----",
    Action.MALL_REFUND: "-o-e---",
    Action.STORED_VALUE_READ: "oo-ee--",
    Action.STORED_VALUE_TOP_UP: "oo-----",
    Action.STORED_VALUE_PAY_OUT: "-o-e---",
    Action.STORED_VALUE_FREEZE: "-o-e---",
    Action.TIER_READ: "-o-ee--",
    Action.TIER_OVERRIDE: "-o-e---",
    Action.APPROVAL_READ: "-o-ee--",
    Action.APPROVAL_DECIDE: "-o-e---",
    Action.STORE_READ: "-o-ee--",
    Action.CAMPAIGN_READ: "-eeee--",
    Action.CAMPAIGN_EDIT: "--e----",
    Action.TERMS_READ: "--eee--",
    Action.TERMS_PROPOSE: "--e----",
    Action.TERMS_APPROVE: "---e---",
    Action.LEDGER_READ: "---ee--",
    Action.EXPORT: "--ae---",
    Action.AUDIT_READ: "-o-eee-",
    Action.STAFF_READ: "----ee-",
    Action.STAFF_EDIT: "-----a-",
    Action.OPERATE: "------e",
}
CASES: Final = list(product(Role, Action, ("own store", "other store", "self")))


def _resource(place: Place) -> Resource:
    return Resource(
        store_id=OTHER_STORE if place == "other store" else OWN_STORE,
        member_id=OWN_MEMBER if place == "self" else ANOTHER_MEMBER,
    )


def _expected(role: Role, action: Action, place: Place) -> type[Forbidden] | None:
    cell = EXPECTED[action][list(Role).index(role)]
    if cell == "-":
        return Forbidden
    if place == "other store" and cell == "o":
        return OtherStore
    if place == "self" and action in GAINFUL:
        return OwnMembership
    return None


def test_the_table_knows_every_action() -> None:
    assert set(EXPECTED) == set(Action)
    assert set(MATRIX) == set(Role)


@pytest.mark.parametrize(("role", "action", "place"), CASES)
def test_staff(role: Role, action: Action, place: Place) -> None:
    principal = StaffPrincipal(staff_id=5, role=role, store_id=OWN_STORE, member_id=OWN_MEMBER)
    refusal = _expected(role, action, place)
    if refusal is None:
        allowed = authorize(principal, action, _resource(place))
        assert allowed.needs_approval is (EXPECTED[action][list(Role).index(role)] == "a")
    else:
        with pytest.raises(Forbidden) as refused:
            authorize(principal, action, _resource(place))
        assert type(refused.value) is refusal


@pytest.mark.parametrize("action", [action for action, row in EXPECTED.items() if row[0] == "o"])
def test_a_clerk_without_a_store_may_nothing(action: Action) -> None:
    with pytest.raises(OtherStore):
        authorize(StaffPrincipal(staff_id=5, role=Role.CLERK), action, Resource(store_id=OWN_STORE))


@pytest.mark.parametrize("action", Action)
def test_a_member_acts_for_nobody_else(action: Action) -> None:
    member = MemberPrincipal(OWN_MEMBER)
    if action in {Action.SELF_READ, Action.SELF_WRITE}:
        assert authorize(member, action, Resource(member_id=OWN_MEMBER)) == Allow(mask=False)
    else:
        with pytest.raises(Forbidden):
            authorize(member, action, Resource(member_id=OWN_MEMBER))
    with pytest.raises(Forbidden):
        authorize(member, action, Resource(member_id=ANOTHER_MEMBER))


@pytest.mark.parametrize("action", Action)
def test_a_partner_speaks_for_its_store(action: Action) -> None:
    till, shop = PartnerPrincipal(3, store_id=OWN_STORE), PartnerPrincipal(4)
    if action in {
        Action.MEMBER_FIND,
        Action.PURCHASE_RECORD,
        Action.PURCHASE_REFUND,
        Action.EVENT_REPORT,
        Action.STORED_VALUE_READ,
        Action.STORED_VALUE_TOP_UP,
    }:
        assert authorize(till, action, Resource(store_id=OWN_STORE)).mask
        assert authorize(shop, action, Resource(store_id=OTHER_STORE)).mask
        with pytest.raises(OtherStore):
            authorize(till, action, Resource(store_id=OTHER_STORE))
    else:
        for partner in (till, shop):
            with pytest.raises(Forbidden):
                authorize(partner, action, Resource(store_id=OWN_STORE))


@pytest.mark.parametrize("principal", [SystemPrincipal("import"), PartnerPrincipal(1), MemberPrincipal(1)])
def test_only_people_decide_over_value(principal: Principal) -> None:
    for action in (Action.APPROVAL_DECIDE, Action.POINTS_GRANT, Action.COUPON_REDEEM, Action.MEMBER_REVEAL):
        with pytest.raises(Forbidden):
            authorize(principal, action)


def test_nobody_approves_what_they_asked_for() -> None:
    manager = StaffPrincipal(staff_id=5, role=Role.MANAGER, store_id=OWN_STORE)
    with pytest.raises(OwnRequest):
        authorize(manager, Action.APPROVAL_DECIDE, Resource(store_id=OWN_STORE, requested_by=5))
    assert authorize(manager, Action.APPROVAL_DECIDE, Resource(store_id=OWN_STORE, requested_by=6))


def test_no_role_both_asks_and_decides_except_the_manager_who_never_decides_their_own() -> None:
    both = {role for role, row in MATRIX.items() if {Action.POINTS_GRANT, Action.APPROVAL_DECIDE} <= set(row)}
    assert both == {Role.MANAGER}


def test_the_auditor_has_no_verb_that_writes() -> None:
    reads = {"read", "find", "reveal"}
    assert all(action.value.split(".")[-1] in reads for action in MATRIX[Role.AUDITOR])


def test_limits_are_those_of_the_terms() -> None:
    limits = StaffLimits(clerk_grant=10, clerk_day=20, manager_grant=30, manager_day=40)
    clerk = StaffPrincipal(staff_id=5, role=Role.CLERK, store_id=OWN_STORE)
    manager = StaffPrincipal(staff_id=6, role=Role.MANAGER, store_id=OWN_STORE)
    assert authorize(clerk, Action.POINTS_GRANT, limits=limits).limit == Limit(10, 20)
    assert authorize(manager, Action.POINTS_GRANT, limits=limits).limit == Limit(30, 40)
    assert authorize(clerk, Action.MEMBER_FIND, limits=limits).limit is None


def test_only_a_reveal_shows_personal_values_and_it_wants_a_reason() -> None:
    for role, row in MATRIX.items():
        for action, right in row.items():
            assert right.mask is (action is not Action.MEMBER_REVEAL), (role, action)
            assert right.needs_reason is (action is Action.MEMBER_REVEAL), (role, action)
