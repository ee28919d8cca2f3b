"""Payments: asked for, credited once however often and by whatever way the platform tells of them, or closed.

Nothing here calls a platform; edges do, before and after a unit of work.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.errors import NotFound, unreachable
from loyalty.payments.rules import Asked, PaymentDiffers, Receipt, State, difference

OPEN_FOR: Final = timedelta(minutes=30)
"""How long a payment may be made; the platform is told the same."""
ASK_AFTER: Final = (
    timedelta(seconds=20),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(minutes=30),
)
"""No callback is no proof that nothing was paid: the platform is asked so long after each time before."""

_COLUMNS: Final = (
    "id, number, platform, account, merchant, app_id, member_id, purpose, details, amount_fen, status, transaction,"
    " alert, created_at, expires_at, paid_at"
)
_DUE: Final = f"""
UPDATE payment SET asked = asked + 1, ask_at = $1 + ($3::interval[])[least(asked + 2, cardinality($3))]
WHERE id IN (SELECT id FROM payment WHERE status = 'open' AND ask_at <= $1 ORDER BY ask_at LIMIT $2
             FOR UPDATE SKIP LOCKED)
RETURNING {_COLUMNS}
"""


class PaymentUnknown(NotFound):
    """No such payment was asked for."""

    code = "payments.unknown"


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment as it stands."""

    id: int
    number: str
    platform: str
    account: str
    merchant: str
    app_id: str
    member_id: int
    purpose: str
    details: Mapping[str, Any]
    amount_fen: int
    status: State
    transaction: str | None
    alert: str | None
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None

    @property
    def asked(self) -> Asked:
        """What a receipt is compared with."""
        return Asked(number=self.number, merchant=self.merchant, app_id=self.app_id, amount_fen=self.amount_fen)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """Money to be asked for at `account` of `platform`."""

    platform: str
    account: str
    merchant: str
    app_id: str
    member_id: int
    purpose: str
    amount_fen: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """A payment after a receipt; `is_new` when this receipt is the first that says it was paid."""

    payment: PaymentView
    is_new: bool


async def ask(new: NewPayment, *, now: datetime) -> PaymentView:
    """Write down that money will be asked for, under a number of its own."""
    row = await db.fetch_one(
        "INSERT INTO payment (number, platform, account, merchant, app_id, member_id, purpose, details, amount_fen,"
        " status, created_at, expires_at, ask_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, 'open', $10, $11,"
        f" $12) RETURNING {_COLUMNS}",
        f"XH{now:%Y%m%d}{secrets.token_hex(10)}",
        new.platform,
        new.account,
        new.merchant,
        new.app_id,
        new.member_id,
        new.purpose,
        orjson.dumps(dict(new.details)).decode(),
        new.amount_fen,
        now,
        now + OPEN_FOR,
        now + ASK_AFTER[0],
    )
    if row is None:
        unreachable("an insert returns its row")
    return _view(row)


async def settle(receipt: Receipt, *, now: datetime) -> Settled:
    """Take note of what the platform vouches for; callers carry the purpose of a new payment out in the same unit of
    work. Money that came after we gave the payment up is money all the same.

    Raises:
        PaymentUnknown: never asked for.
        PaymentDiffers: paid, and not what was asked for. Catch it and keep the unit of work: the alert is in the row.
    """
    row = await db.fetch_one(f"SELECT {_COLUMNS} FROM payment WHERE number = $1 FOR UPDATE", receipt.number)
    if row is None:
        raise PaymentUnknown
    payment = _view(row)
    if receipt.state is State.OPEN or payment.status is State.PAID:
        return Settled(payment, is_new=False)
    if receipt.state is State.CLOSED:
        return Settled(await _closed(payment), is_new=False)
    differs = difference(payment.asked, receipt)
    if differs is not None:
        await db.execute("UPDATE payment SET alert = $2 WHERE id = $1", payment.id, differs)
        raise PaymentDiffers(field=differs, number=payment.number)
    return Settled(await _paid(payment, receipt, now), is_new=True)


async def due(*, now: datetime, batch_max: int) -> list[PaymentView]:
    """Open payments that nothing was heard of for long enough to ask; each is asked for by one process at a time."""
    return [_view(row) for row in await db.fetch(_DUE, now, batch_max, list(ASK_AFTER))]


async def find(number: str) -> PaymentView:
    """One payment.

    Raises:
        PaymentUnknown
    """
    row = await db.fetch_one(f"SELECT {_COLUMNS} FROM payment WHERE number = $1", number)
    if row is None:
        raise PaymentUnknown
    return _view(row)


async def _closed(payment: PaymentView) -> PaymentView:
    row = await db.fetch_one(
        f"UPDATE payment SET status = 'closed', ask_at = NULL WHERE id = $1 RETURNING {_COLUMNS}", payment.id
    )
    return payment if row is None else _view(row)


async def _paid(payment: PaymentView, receipt: Receipt, now: datetime) -> PaymentView:
    row = await db.fetch_one(
        "UPDATE payment SET status = 'paid', transaction = $2, paid_at = $3, alert = NULL, ask_at = NULL"
        f" WHERE id = $1 RETURNING {_COLUMNS}",
        payment.id,
        receipt.transaction,
        receipt.paid_at or now,
    )
    if row is None:
        unreachable("the row is locked")
    return _view(row)


def _view(row: db.Row) -> PaymentView:
    values = dict(row)
    return PaymentView(**{**values, "details": orjson.loads(row["details"]), "status": State(row["status"])})
