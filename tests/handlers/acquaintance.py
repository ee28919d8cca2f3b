"""Who somebody in a test is to the product, and how they join."""

import orjson

from loyalty import db
from loyalty.phones import service as phones
from tests.handlers.talk import Person


async def member_of(person: Person) -> int:
    found: int = await db.fetch_value(
        "SELECT member_id FROM channel_identity WHERE channel = $1 AND external_id = $2",
        person.sender.channel,
        person.sender.external_id,
    )
    return found


async def sent_code(person: Person) -> str:
    member_id = await member_of(person)
    params = await db.fetch_value(
        "SELECT params FROM outbox WHERE member_id = $1 AND notice = 'phone_code' ORDER BY id DESC LIMIT 1", member_id
    )
    return phones.code_to_send(member_id, orjson.loads(params)).code


async def joins(person: Person, phone: str) -> str:
    await person.says("注册")
    await person.presses("agree")
    await person.says(phone)
    return await person.says(await sent_code(person))
