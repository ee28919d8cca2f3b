"""Alive, ready, counted, limited; documents without words about the inside."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from loyalty import db
from loyalty.errors import TooMany
from miniapp_api.app import create_api
from miniapp_api.context import ApiContext
from miniapp_api.endpoint import Rate
from miniapp_api.limits import Allowance, Limits
from tests.miniapp_api.people import Api, new_member

TIGHT = {rate: Allowance(per_second=0.01, burst=3, shared=rate is Rate.LOGIN) for rate in Rate}


async def test_alive_and_ready(api: Api, context: ApiContext) -> None:
    async with api.client.get("/livez") as response:
        assert response.status == 200
    async with api.client.get("/readyz") as response:
        assert (response.status, (await response.json())["status"]) == (200, "ready")
    context.lifecycle.draining = True
    async with api.client.get("/readyz") as response:
        assert response.status == 503
        assert (await response.json())["checks"]["draining"] == "draining"


async def test_a_missing_migration_is_not_ready(api: Api) -> None:
    gone = await db.fetch_one("DELETE FROM tortoise_migrations WHERE name = '0002_guards' RETURNING *")
    assert gone is not None
    try:
        async with api.client.get("/readyz") as response:
            assert response.status == 503
            assert "0002_guards" in (await response.json())["checks"]["migrations"]
    finally:
        columns = ", ".join(gone.keys())
        places = ", ".join(f"${place}" for place in range(1, len(gone) + 1))
        await db.execute(f"INSERT INTO tortoise_migrations ({columns}) VALUES ({places})", *gone.values())


async def test_metrics_count_operations_and_stay_private(api: Api) -> None:
    await api.by((await new_member()).token).get("/v1/me")
    async with api.client.get("/metrics") as response:
        text = await response.text()
    assert 'http_request_seconds_count{operation="read_me",status="200"}' in text


async def test_a_bug_is_a_problem_without_detail(context: ApiContext, database: None) -> None:
    app = create_api(context)

    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("password=secret 13800138000")

    app.router.add_get("/v1/broken", broken)
    async with TestClient(TestServer(app)) as client, client.get("/v1/broken") as response:
        assert response.status == 500
        assert response.content_type == "application/problem+json"
        assert (await response.json(content_type=None))["code"] == "internal"
        assert "secret" not in await response.text()


async def test_a_lost_database_is_asked_for_again(context: ApiContext, database: None) -> None:
    app = create_api(context)

    async def cut(_request: web.Request) -> web.Response:
        raise ConnectionResetError("the server closed the connection")

    app.router.add_get("/v1/cut", cut)
    async with TestClient(TestServer(app)) as client, client.get("/v1/cut") as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert (await response.json(content_type=None))["code"] == "unavailable"


async def test_a_local_limit_and_its_end() -> None:
    limits = Limits(None, TIGHT)
    for _ in range(3):
        await limits.take(Rate.READ, "member:1")
    with pytest.raises(TooMany) as refused:
        await limits.take(Rate.READ, "member:1")
    assert int(str(refused.value.params["retry_after_s"])) >= 100
    await limits.take(Rate.READ, "member:2")


async def test_a_shared_limit_counts_across_processes_and_survives_redis_away(redis: Redis) -> None:
    await redis.delete("xiaohui:rate:login:shared-limit")
    one, two = Limits(redis, TIGHT), Limits(redis, TIGHT)
    for limits in (one, two, one):
        await limits.take(Rate.LOGIN, "shared-limit")
    with pytest.raises(TooMany):
        await two.take(Rate.LOGIN, "shared-limit")
    away = Redis.from_url("redis://127.0.0.1:1/0")
    alone = Limits(away, TIGHT)
    for _ in range(3):
        await alone.take(Rate.LOGIN, "shared-limit")
    with pytest.raises(TooMany):
        await alone.take(Rate.LOGIN, "shared-limit")
    await away.aclose()
    await redis.delete("xiaohui:rate:login:shared-limit")
