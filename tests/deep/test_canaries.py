"""Names, phones and tokens planted in every way in: afterwards they stand in no log line, no Redis key, no column."""

import base64
import json
from pathlib import Path

from aiohttp import ClientSession
from redis.asyncio import Redis

from bot.accounts import ChannelAccounts
from loyalty import db
from loyalty.access import Role
from tests.conftest import TEST_SECRET
from tests.scenarios.town import Place, ok
from tests.support.product import deployed
from tests.support.valkey import own_valkey
from xiaohui.first_run import development_secrets

PHONE, OTHER_PHONE, THIRD_PHONE = "13800139017", "13900138026", "13700139035"
NAME, OTHER_NAME = "欧阳克里斯托", "慕容金丝雀"
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name <> 'tortoise_migrations'
ORDER BY table_name, ordinal_position
"""


def spellings(word: str) -> list[bytes]:
    """How a word may lie about: as it is, escaped, encoded, reversed."""
    raw = word.encode()
    return [
        raw,
        word.encode("utf-16-le"),
        raw.hex().encode(),
        base64.b64encode(raw).rstrip(b"="),
        json.dumps(word)[1:-1].encode(),
        word[::-1].encode(),
        word.encode("gbk"),
    ]


async def planted(town: Place, accounts: ChannelAccounts) -> list[str]:
    """A member who told us everything, by every way, and staff who typed it; what must not be found again."""
    lin = await town.person(NAME, phone=f"+86{PHONE}")
    await lin.follows()
    await lin.joins(PHONE)
    mini = await lin.mini()
    ok(await mini.send("PATCH", "/v1/me/profile", {"name": NAME, "birthday": "1990-07-21"}))
    await lin.says(f"我叫{NAME}，电话{PHONE}")
    await lin.says("改名")
    await lin.says(NAME)
    await lin.says("签到")
    zhang = await town.hires(Role.CLERK, await town.store())
    await zhang.says(f"登记 {OTHER_PHONE} {OTHER_NAME}", "wecom")
    await zhang.says(OTHER_PHONE, "wecom")
    await zhang.says("送 300 漏记", "wecom")
    till = await town.till()
    ok(await till.post("/v1/partner/lookups", {"phone": OTHER_PHONE}))
    ann = await town.person("Ann", phone=f"+86{THIRD_PHONE}", language="en")
    await ann.act("telegram/start")
    await ann.act("telegram/share_contact")
    await ann.presses("agree")
    ok(await (await lin.mini()).get("/v1/me/data"))
    # Things that go wrong are logged, too.
    await mini.post("/v1/me/phone/verify", {"phone": PHONE, "code": "000000"})
    await mini.send("PATCH", "/v1/me/profile", {"name": NAME + "\u202e"})
    await town.anyone.by("x" * 40).get("/v1/me?phone=" + PHONE)
    await town.work()
    return [
        PHONE,
        OTHER_PHONE,
        THIRD_PHONE,
        NAME,
        OTHER_NAME,
        str(mini.token),
        str(till.token),
        accounts.wechat_oa[0].app_secret,
        accounts.telegram[0].bot_token,
        accounts.telegram[0].webhook_secret,
        TEST_SECRET.decode(),
    ]


async def test_what_is_personal_or_secret_is_found_nowhere(database: None, database_url: str, tmp_path: Path) -> None:
    with own_valkey(tmp_path) as redis_url:
        async with deployed(tmp_path, database_url, redis_url) as product, ClientSession() as session:
            product.environment["XIAOHUI_LOG_LEVEL"] = "debug"
            await product.serve(2)
            product.start("worker")
            town = Place(product.base, product.platforms, development_secrets(tmp_path), session)
            canaries = await planted(town, product.accounts)
            found = await in_tables(canaries) + await in_redis(redis_url, canaries)
        written = product.logs()
    assert "request" in written, "the product logged nothing, so nothing was looked at"
    assert found + _hits("log", written.encode().splitlines(), canaries) == []


async def in_tables(canaries: list[str]) -> list[str]:
    """Every value of every column."""
    found: list[str] = []
    for row in await db.fetch(COLUMNS):
        table, column = row["table_name"], row["column_name"]
        held = await db.fetch(f'SELECT "{column}" AS value FROM "{table}" WHERE "{column}" IS NOT NULL')
        found += _hits(f"{table}.{column}", [_bytes(each["value"]) for each in held], canaries)
    return found


async def in_redis(redis_url: str, canaries: list[str]) -> list[str]:
    """Every key and what it holds."""
    async with Redis.from_url(redis_url) as client:
        keys = [key async for key in client.scan_iter(count=1000)]
        values = [await client.dump(key) or b"" for key in keys]
    return _hits("redis", [*keys, *values], canaries)


def _hits(where: str, blobs: list[bytes], canaries: list[str]) -> list[str]:
    return [
        f"{where}: {canary[:4]}… in {blob[:160]!r}"
        for canary in canaries
        for spelling in spellings(canary)
        for blob in blobs
        if spelling in blob
    ]


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else str(value).encode()
