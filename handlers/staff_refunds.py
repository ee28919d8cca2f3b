"""Staff: taking goods back from the member being served, looked at before it is confirmed."""

from dataclasses import dataclass
from typing import Final

from handlers import intent_arguments
from handlers.button_keys import row_id
from handlers.chat import StaffChat
from handlers.messages import Reply
from loyalty import access
from loyalty.access import Action, Resource
from loyalty.purchases import queries as purchases
from loyalty.purchases.queries import PurchaseView
from loyalty.refunds.rules import Method
from loyalty.refunds.service import PurchaseUnknown
from loyalty.staff_refunds import service as refunds
from loyalty.staff_refunds.service import Goods, NewReturn, Preview

LOOKED_THROUGH: Final = 20
METHODS: Final[dict[str, Method]] = {"r": "readjudicate", "p": "proportional"}


@dataclass(frozen=True, slots=True)
class _Pressed:
    """What a button of a preview stands for: `refunded_fen` is what had come back before."""

    purchase_id: int
    refunded_fen: int
    amount_fen: int
    money_fen: int
    method: Method


async def preview(chat: StaffChat) -> Reply:
    """「退款」 the latest purchase, 「退款 A1024」 the one of that number, 「退款 A1024 50」 goods worth 50 of it."""
    if chat.serving is None:
        return chat.say("ask_member_first")
    # Whoever may not do it hears so before they learn what was bought.
    resource = Resource(store_id=chat.staff.store_id, member_id=chat.serving)
    access.authorize(chat.staff, Action.PURCHASE_REFUND, resource)
    typed = intent_arguments.returning_of(chat.rest)
    purchase = None if typed is None else await _meant(chat.serving, typed)
    if typed is None or purchase is None:
        return chat.say("no_refundable")
    amount_fen = typed.amount_fen
    goods = Goods(purchase_id=purchase.id, amount_fen=amount_fen or purchase.amount_fen - purchase.refunded_fen)
    first, other = await refunds.preview(goods, principal=chat.staff, now=chat.now)
    differs = (other.done.money_fen, other.done.points_taken) != (first.done.money_fen, first.done.points_taken)
    await chat.expect("", member_id=chat.serving)
    return chat.say(
        "refund_preview",
        receipt=_receipt(purchase),
        first=first,
        lost=sum(one.fate == "lost" for one in first.discounts),
        other=other if differs else None,
        first_key=_key(purchase, first),
        other_key=_key(purchase, other),
        task_id=f"refund-{purchase.id}-{chat.inbound.key}"[:128],
    )


async def confirm(chat: StaffChat) -> Reply:
    """The button under a preview; pressed again it changes nothing and says the same."""
    pressed = _pressed(chat.rest)
    if pressed is None:
        return chat.say("fallback")
    purchase = await purchases.by_id(pressed.purchase_id)
    if purchase is None:
        raise PurchaseUnknown
    new = NewReturn(
        goods=Goods(purchase_id=purchase.id, amount_fen=pressed.amount_fen),
        method=pressed.method,
        money_fen=pressed.money_fen,
        reason=_receipt(purchase),
    )
    key = f"chat:{purchase.id}:{pressed.refunded_fen}:{pressed.amount_fen}:{pressed.method}"
    done = await refunds.refund(new, principal=chat.staff, key=key, now=chat.now)
    return chat.say("refund_done", done=done, receipt=_receipt(purchase))


async def _meant(member_id: int, typed: intent_arguments.Returning) -> PurchaseView | None:
    if typed.order is not None:
        found = await purchases.by_receipt(member_id, typed.order)
        if found is None:
            raise PurchaseUnknown
        return found
    latest = await purchases.recent(member_id, limit=LOOKED_THROUGH)
    return next((one for one in latest if one.refunded_fen < one.amount_fen), None)


def _receipt(purchase: PurchaseView) -> str:
    return purchase.external_id.removeprefix("chat:")


def _key(purchase: PurchaseView, shown: Preview) -> str:
    done = shown.done
    letter = "r" if done.method == "readjudicate" else "p"
    return f"{purchase.id}.{purchase.refunded_fen}.{done.amount_fen}.{done.money_fen}.{letter}"


def _pressed(text: str) -> _Pressed | None:
    *parts, letter = text.split(".")
    numbers = [row_id(part) for part in parts]
    match numbers:
        case [int(purchase_id), int(before), int(amount), int(money)] if letter in METHODS:
            return _Pressed(purchase_id, before, amount, money, METHODS[letter])
        case _:
            return None
