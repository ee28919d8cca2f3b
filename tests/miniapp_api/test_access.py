"""Generated: every row against every kind of caller; only the audience it names gets in."""

import re
from typing import Any

import pytest

from loyalty.access import MATRIX, PARTNER_ACTIONS, Role
from miniapp_api.audience import STAFF, Audience
from miniapp_api.endpoint import AnyEndpoint
from miniapp_api.endpoints import ENDPOINTS
from tests.miniapp_api.people import Answered, Api, new_member, new_partner, new_staff, new_store

GUARDED = [endpoint for endpoint in ENDPOINTS if endpoint.audience is not Audience.ANYONE]


async def ask(api: Api, endpoint: AnyEndpoint, token: str | None) -> Answered:
    path = re.sub(r"\{\w+\}", "0" * 13, endpoint.path)
    body: dict[str, Any] | None = {} if endpoint.takes_body else None
    return await api.by(token).call(endpoint.method, path, body)


def _who_may(endpoint: AnyEndpoint) -> Role:
    """The first role that may do what the row asks alone; a manager where the row is not for staff."""
    return next((role for role in MATRIX if endpoint.action is not None and _alone(role, endpoint)), Role.MANAGER)


def _alone(role: Role, endpoint: AnyEndpoint) -> bool:
    right = None if endpoint.action is None else MATRIX[role].get(endpoint.action)
    return right is not None and not right.needs_approval


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda endpoint: endpoint.name)
async def test_only_its_audience_gets_in(api: Api, endpoint: AnyEndpoint) -> None:
    store = await new_store()
    tokens = {
        None: None,
        Audience.MEMBER: (await new_member()).token,
        Audience.STAFF: (await new_staff(_who_may(endpoint), store_id=store)).token,
        Audience.PARTNER: await new_partner(store),
    }
    let_in = Audience.STAFF if endpoint.audience in STAFF else endpoint.audience
    for audience, token in tokens.items():
        answered = await ask(api, endpoint, token)
        if audience is let_in:
            assert answered.status not in {401, 403, 500}, answered.json
        else:
            assert answered.status == 401, (audience, answered.json)


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)
async def test_staff_get_in_by_the_matrix_alone(api: Api, role: Role) -> None:
    token = (await new_staff(role, store_id=await new_store())).token
    for endpoint in GUARDED:
        if endpoint.audience not in STAFF:
            continue
        answered = await ask(api, endpoint, token)
        allowed = endpoint.action in MATRIX[role]
        if allowed and answered.status == 403 and not _alone(role, endpoint):
            # Whoever may only ask is told so, where the row acts at once.
            assert answered.code == "access.needs_another", (role, endpoint.name)
            continue
        assert (answered.status != 403) is allowed, (role, endpoint.name, answered.json)


def test_every_guarded_row_names_its_action() -> None:
    for endpoint in GUARDED:
        assert endpoint.action is not None, endpoint.name
        if endpoint.audience is Audience.PARTNER:
            assert endpoint.action in PARTNER_ACTIONS


async def test_removed_staff_are_out_at_once(api: Api) -> None:
    from loyalty import clock, db
    from loyalty.staff import service as staff
    from tests.miniapp_api.people import SYSTEM

    clerk = await new_staff(store_id=await new_store())
    user_id = await db.fetch_value("SELECT user_id FROM staff WHERE id = $1", clerk.id)
    assert (await api.by(clerk.token).post("/v1/staff/lookups", {"number": "1234567890"})).status == 404
    async with db.unit_of_work():
        await staff.remove_staff("corp", user_id, principal=SYSTEM, now=clock.now())
    assert (await api.by(clerk.token).post("/v1/staff/lookups", {"number": "1234567890"})).status == 401
