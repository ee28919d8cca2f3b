"""A person pays, and the merchant is told until it has understood."""

import asyncio
import base64
import json
import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.sandbox.act import Act, BadAct, Done, Verb
from bot.sandbox.config import PayAccount
from bot.sandbox.deliver import Callback, Delivery, deliver
from bot.sandbox.envelopes import Opened, Sealed
from bot.sandbox.pay_api import iso, pay_state, transaction
from bot.sandbox.pay_state import PayNotice, PayOrder, signature_headers
from bot.sandbox.stage import Stage

PAUSES_S = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
"""Between one try and the next; 24 hours and 4 minutes in all."""
TAKEN = frozenset({200, 204})
FAULTS = frozenset({"", "notify_lost", "notify_twice", "wrong_amount"})
LOOK_EVERY_S = 1.0
NEVER = 1e12


async def pay(act: Act) -> Done:
    """Pay a prepay_id; the answer waits for the first notification only."""
    account, stage = act.stage.config.pay, act.stage
    fault = act.text("fault", "")
    if account is None or fault not in FAULTS:
        raise BadAct(f"fault is one of {', '.join(sorted(FAULTS - {''}))}")
    number, order = _payable(act, account)
    order.state, order.paid_fen = "SUCCESS", 1 if fault == "wrong_amount" else order.content["amount"]["total"]
    order.transaction_id = f"42000000000000{stage.world.next('transaction'):014}"
    order.success_time = iso(stage.clock.wire())
    words = f"支付成功 ¥{order.paid_fen / 100:.2f}"
    stage.screens.show(act.person.id, (account.channel, account.account), "system", "notice", words)
    data = {"out_trade_no": number, "transaction_id": order.transaction_id}
    if fault == "notify_lost":
        return Done(data=data)
    notice = PayNotice(
        id=f"EV-{stage.world.next('pay notice'):020}",
        out_trade_no=number,
        event={"create_time": order.success_time, "event_type": "TRANSACTION.SUCCESS", "summary": "支付成功"},
        resource=transaction(account, number, order),
        url=order.content["notify_url"],
    )
    pay_state(stage, account).waiting.append(notice)
    return Done(await _tell(stage, account, notice, copies=2 if fault == "notify_twice" else 1), data)


def _payable(act: Act, account: PayAccount) -> tuple[str, PayOrder]:
    wanted = act.text("prepay_id").removeprefix("prepay_id=")
    for number, order in pay_state(act.stage, account).orders.items():
        if order.prepay_id == wanted and order.person == act.person.id:
            if order.state != "NOTPAY" or order.expires_at <= act.now:
                raise BadAct("that order cannot be paid any more")
            return number, order
    raise BadAct("this person has no such order")


async def _tell(stage: Stage, account: PayAccount, notice: PayNotice, *, copies: int = 1) -> Delivery:
    """One try; what is not taken is due again later, by the platform's clock."""
    notice.tries += 1
    again = notice.tries <= len(PAUSES_S)
    notice.due_at = stage.clock.world() + PAUSES_S[notice.tries - 1] if again else NEVER
    callback = Callback(
        account=account,
        person=pay_state(stage, account).orders[notice.out_trade_no].person,
        message_id=notice.id,
        seal=lambda: sealed(stage, account, notice),
        open=lambda content: Opened(content.decode(errors="replace"), None),
        url=notice.url,
        tries=1,
        first_try=notice.tries,
        taken=TAKEN,
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(deliver(stage, callback)) for _ in range(copies)]
    deliveries = [task.result() for task in tasks]
    waiting = pay_state(stage, account).waiting
    if notice in waiting and (not again or any(delivery.result == "accepted" for delivery in deliveries)):
        waiting.remove(notice)
    return deliveries[0]


def sealed(stage: Stage, account: PayAccount, notice: PayNotice) -> Sealed:
    """The notification as it goes out now: the resource under the merchant's APIv3 key, the whole signed."""
    clear, nonce, kind = json.dumps(notice.resource, ensure_ascii=False), secrets.token_hex(6), "transaction"
    ciphertext = AESGCM(account.api_v3_key.encode()).encrypt(nonce.encode(), clear.encode(), kind.encode())
    resource = {
        "original_type": kind,
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(ciphertext).decode(),
        "associated_data": kind,
        "nonce": nonce,
    }
    told = {"id": notice.id, "resource_type": "encrypt-resource", **notice.event, "resource": resource}
    body = json.dumps(told, ensure_ascii=False).encode()
    headers = signature_headers(account.platform_key, account.platform_key_id, body, stage.clock.wire())
    return Sealed("", body, "application/json", clear, headers)


def tell_due(stage: Stage) -> None:
    """Start a try of every notification whose time has come; `settle` waits for them."""
    account = stage.config.pay
    if account is None:
        return
    for notice in pay_state(stage, account).waiting:
        if notice.due_at <= stage.clock.world():
            notice.due_at = NEVER  # under way
            stage.spawn(_tell(stage, account, notice))


async def keep_telling(stage: Stage) -> None:
    """Follow the clock; what was under way when the sandbox ended is due again."""
    if stage.config.pay is not None:
        for notice in pay_state(stage, stage.config.pay).waiting:
            if notice.due_at >= NEVER:
                notice.due_at = stage.clock.world()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        tell_due(stage)


VERBS: dict[str, Verb] = {"pay": pay}
