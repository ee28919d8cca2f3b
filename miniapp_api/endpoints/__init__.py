"""Every endpoint of the API, in the order of the contract. A new one is a row in its file; a new file is a row here."""

from typing import Final

from miniapp_api.endpoint import AnyEndpoint
from miniapp_api.endpoints import (
    approvals,
    check_ins,
    checkouts,
    consents,
    coupons,
    data,
    draws,
    draws_console,
    earning_rules,
    ladders,
    me,
    partner,
    phone_claims,
    phones,
    points,
    purchases,
    sales,
    sessions,
    staff,
    subscriptions,
    tier_overrides,
    tiers,
)

ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    *sessions.ENDPOINTS,
    *me.ENDPOINTS,
    *tiers.ENDPOINTS,
    *phones.ENDPOINTS,
    *phone_claims.ENDPOINTS,
    *consents.ENDPOINTS,
    *check_ins.ENDPOINTS,
    *points.ENDPOINTS,
    *coupons.ENDPOINTS,
    *draws.ENDPOINTS,
    *draws_console.ENDPOINTS,
    *earning_rules.ENDPOINTS,
    *purchases.ENDPOINTS,
    *subscriptions.ENDPOINTS,
    *data.ENDPOINTS,
    *staff.ENDPOINTS,
    *approvals.ENDPOINTS,
    *tier_overrides.ENDPOINTS,
    *ladders.ENDPOINTS,
    *partner.ENDPOINTS,
    *sales.ENDPOINTS,
    *checkouts.ENDPOINTS,
)
