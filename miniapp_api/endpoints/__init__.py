"""Every endpoint of the API, in the order of the contract. A new one is a row in its file; a new file is a row here."""

from typing import Final

from miniapp_api.endpoint import AnyEndpoint
from miniapp_api.endpoints import (
    check_ins,
    consents,
    me,
    phones,
    points,
    purchases,
    sessions,
)

ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    *sessions.ENDPOINTS,
    *me.ENDPOINTS,
    *phones.ENDPOINTS,
    *consents.ENDPOINTS,
    *check_ins.ENDPOINTS,
    *points.ENDPOINTS,
    *purchases.ENDPOINTS,
)
