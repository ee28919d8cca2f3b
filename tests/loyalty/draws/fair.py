"""A draw for tests."""

from datetime import timedelta
from typing import Any

from loyalty import db
from loyalty.draws import publishing, service
from loyalty.draws.queries import DrawView
from loyalty.draws.rules import NewDraw
from loyalty.draws.service import DrawOutcome, DrawRequest
from tests.loyalty.shop import ADMIN, NOW


def prize(code: str, weight: int, *, stock: int | None = None, award: dict[str, Any] | None = None, **more: Any) -> Any:
    """A prize to be handed over, unless told otherwise."""
    return {
        "code": code,
        "name": {"zh-CN": code, "en": code},
        "form": "goods",
        "award": award or {"kind": "handed_over"},
        "worth_fen": 1000,
        "weight": weight,
        "stock": stock,
        **more,
    }


def nothing(weight: int) -> Any:
    """谢谢参与."""
    return prize("none", weight, award={"kind": "nothing"}, form="none", worth_fen=0)


def document(*prizes: Any, code: str = "fair", fallback: str = "none", **more: Any) -> dict[str, Any]:
    """A draw as JSON, open since an hour and for nine more days."""
    return {
        "code": code,
        "name": {"zh-CN": "抽奖", "en": "Draw"},
        "organiser": {"zh-CN": "小店", "en": "The shop"},
        "claim_rules": {"zh-CN": "到店领取", "en": "In the shop"},
        "starts_at": (NOW - timedelta(hours=1)).isoformat(),
        "ends_at": (NOW + timedelta(days=9)).isoformat(),
        "prizes": list(prizes),
        "fallback": fallback,
        **more,
    }


async def opened(*prizes: Any, **more: Any) -> DrawView:
    """A published draw."""
    async with db.unit_of_work():
        draft = await publishing.draft(
            NewDraw.model_validate(document(*prizes, **more)), principal=ADMIN, now=NOW - timedelta(hours=2)
        )
        return await publishing.publish(draft.code, draft.fingerprint, principal=ADMIN, now=NOW - timedelta(hours=2))


async def drawn(code: str, *requests: DrawRequest, now: Any = NOW) -> list[DrawOutcome]:
    """What came of each request, in one unit of work."""
    async with db.unit_of_work():
        return await service.draw(code, requests, now=now)


def wish(member_id: int, key: str = "once", nonce: str = "n") -> DrawRequest:
    """One draw."""
    return DrawRequest(member_id=member_id, key=key, nonce=nonce)
