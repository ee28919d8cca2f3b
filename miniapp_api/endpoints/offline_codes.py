"""Codes that a till verifies without a network: the member's, the keys for them, and the sales made with them."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from loyalty.access import Action
from loyalty.errors import Refusal
from loyalty.member_codes import service as member_codes
from loyalty.members.service import MemberGone
from loyalty.offline_codes import rules
from loyalty.offline_codes import service as offline_codes
from loyalty.offline_codes.rules import PublicKey
from loyalty.offline_codes.service import OfflineSale
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.receipt import LINES_MAX, Receipt, Tender
from loyalty.purchases.service import NewPurchase
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import ExternalId, Fen
from miniapp_api.endpoints.sales import BATCH_MAX, SaleLine, SaleOutcome, SaleOutcomes, recorded, source_of


@dataclass(frozen=True, slots=True)
class OfflineCode:
    """Shown to a till that has no network, as a QR code: good for points of one sale in [since, until)."""

    code: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class MemberCodes:
    """The rotating code for tills that are on line, and the signed one for those that are not."""

    code: str
    expires_in_s: int
    offline: OfflineCode


@dataclass(frozen=True, slots=True)
class CodeKey:
    """A public key as RFC 8037 writes it; `kid` is the number in the code, `x` 32 bytes in base64url."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    kid: str
    x: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class CodeKeys:
    """The keys of the quarter before, the present and the next one; fetch them when the till has a network."""

    keys: tuple[CodeKey, ...]


class SaleOffline(Body):
    """A sale made without a network: `member_code` is the signed code that the member showed. It earns and spends
    nothing: neither points nor coupons are among its tenders."""

    external_id: ExternalId
    member_code: Annotated[str, Field(min_length=16, max_length=200)]
    amount_fen: Fen
    occurred_at: AwareDatetime
    lines: Annotated[tuple[SaleLine, ...], Field(max_length=LINES_MAX)] = ()
    tenders: dict[Tender, Fen] = Field(default_factory=dict)


class SalesOffline(Body):
    """Sales of a till that was without a network, in their order."""

    items: Annotated[tuple[SaleOffline, ...], Field(min_length=1, max_length=BATCH_MAX)]


async def read_member_code(call: Call[NoBody, NoQuery]) -> MemberCodes:
    """The member's codes of this moment."""
    shown = await member_codes.current(call.member_id, now=call.now)
    text, signed = rules.sign(call.member_id, call.now)
    return MemberCodes(shown.code, shown.expires_in_s, OfflineCode(text, signed.since, signed.until))


async def member_code_keys(call: Call[NoBody, NoQuery]) -> CodeKeys:
    """What verifies signed codes."""
    return CodeKeys(tuple(_key(key) for key in rules.published(call.now)))


async def partner_offline_purchases(call: Call[SalesOffline, NoQuery]) -> SaleOutcomes:
    """Record sales that were made without a network; what one lacks does not hold up the others."""
    batch = [OfflineSale(sale.member_code, _new(call, sale)) for sale in call.body.items]
    done = await offline_codes.record(batch, principal=call.partner, now=call.now)
    items = tuple(_outcome(sale, one) for sale, one in zip(call.body.items, done, strict=True))
    count = sum(item.recorded is not None for item in items)
    return SaleOutcomes(items, count, len(items) - count)


def _key(key: PublicKey) -> CodeKey:
    x = urlsafe_b64encode(key.key).decode().rstrip("=")
    return CodeKey("OKP", "Ed25519", str(key.kid), x, key.since, key.until)


def _new(call: Call[SalesOffline, NoQuery], sale: SaleOffline) -> NewPurchase:
    tenders: dict[str, int] = {kind: fen for kind, fen in sale.tenders.items() if fen}
    return NewPurchase(
        source=source_of(call.partner),
        external_id=sale.external_id,
        member_id=0,
        amount_fen=sale.amount_fen,
        occurred_at=sale.occurred_at,
        store_id=call.partner.store_id,
        receipt=Receipt(sale.lines, tenders or None),
    )


def _outcome(sale: SaleOffline, outcome: PurchaseView | Refusal) -> SaleOutcome:
    if isinstance(outcome, Refusal):
        return SaleOutcome(sale.external_id, None, outcome.code)
    return SaleOutcome(sale.external_id, recorded(outcome), None)


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/me/member-code",
        run=read_member_code,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=MemberCodes,
        refusals=(MemberGone,),
        summary=Summary(
            "会员码：动态码与离线签名码", "My codes: the rotating one and the signed one for tills off line"
        ),
    ),
    Endpoint(
        method="GET",
        path="/v1/member-code-keys",
        run=member_code_keys,
        audience=Audience.ANYONE,
        result=CodeKeys,
        summary=Summary("离线会员码的公钥", "The public keys of signed member codes"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/purchases/offline",
        run=partner_offline_purchases,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=SalesOffline,
        result=SaleOutcomes,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        summary=Summary(
            "补传断网时的消费（凭离线会员码，只累积）", "Upload sales made off line with signed codes (earn only)"
        ),
    ),
)
