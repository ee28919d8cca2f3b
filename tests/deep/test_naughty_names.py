"""The big list of naughty strings as names and as words: kept exactly or refused, in the API and in the chat."""

import json
import secrets

import pytest

from loyalty import clock
from tests.conftest import OUTSIDE
from tests.miniapp_api.people import new_member
from tests.support.official_account import OfficialAccount
from tests.support.product import Product
from tests.support.storm import SERVER_ERRORS, Caller, all_at_once, assert_sound

pytestmark = [pytest.mark.outside, pytest.mark.timeout(180)]

# XML 1.0 cannot carry these at all, so WeChat never sends them.
UNSENDABLE = {chr(code) for code in range(32)} - {"\t", "\n", "\r"} | {"\ufffe", "\uffff"}

# One person's words are answered in turn. All of them at once would outlast the five seconds in which the platform
# takes a reply, after which the answer rightly comes as a message of its own.
AT_ONCE = 40


def naughty() -> list[str]:
    found: list[str] = json.loads((OUTSIDE / "security/blns/blns.json").read_text("utf-8"))
    return [text for text in found if text]


async def test_a_name_is_kept_exactly_or_refused(anyone: Caller) -> None:
    person = anyone.by((await new_member()).token)
    kept = 0
    for name in naughty():
        answer = await person.send("PATCH", "/v1/me/profile", {"name": name})
        assert answer.status in {200, 400, 422}, (name, answer)
        if answer.status == 200:
            kept += 1
            held = (await person.get("/v1/me/data")).json
            assert name in _strings(held), name
    print(f"\n{kept} of {len(naughty())} naughty names kept exactly")  # noqa: T201 - asked to be reported
    assert kept > 50


def _strings(value: object) -> list[str]:
    match value:
        case dict():
            return [found for item in value.values() for found in _strings(item)]
        case list():
            return [found for item in value for found in _strings(item)]
        case str():
            return [value]
        case _:
            return []


async def test_whatever_is_said_gets_an_answer(product: Product, anyone: Caller) -> None:
    side = OfficialAccount(product.accounts.wechat_oa[0], product.base)
    openid, secret = f"oNaughty{secrets.token_hex(8)}", product.accounts.telegram[0].webhook_secret
    headers = {"X-Telegram-Bot-Api-Secret-Token": secret}

    async def in_wechat(number: int, words: str) -> None:
        said = side.said(openid, words, message_id=str(number + 1), at=clock.wall())
        status, reply = await side.deliver(anyone.session, said)
        assert status == 200, words
        assert reply, words

    async def in_telegram(number: int, words: str) -> None:
        message = {
            "message_id": number,
            "date": int(clock.wall().timestamp()),
            "chat": {"id": 4242, "type": "private"},
            "from": {"id": 4242, "is_bot": False, "first_name": words, "language_code": "en"},
            "text": words,
        }
        update = {"update_id": 5_000_000 + number, "message": message}
        async with anyone.session.post(f"{product.base}/hooks/telegram/main", json=update, headers=headers) as answer:
            assert answer.status < SERVER_ERRORS, words

    numbered = list(enumerate(naughty()))
    for start in range(0, len(numbered), AT_ONCE):
        said = numbered[start : start + AT_ONCE]
        await all_at_once([in_wechat(number, words) for number, words in said if not UNSENDABLE & set(words)])
        await all_at_once([in_telegram(number, words) for number, words in said])
    await assert_sound()
