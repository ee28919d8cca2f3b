"""Redis gone, database connections cut: requests go on, and what was accepted is there exactly once."""

import asyncio
import random
import signal
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from loyalty import clock, db
from tests.loyalty import shop
from tests.loyalty.processes import side_by_side
from tests.miniapp_api.people import new_member, new_partner, new_staff, new_store
from tests.scenarios.town import eventually
from tests.support.load import Load, act, once_each, repeats_agree, resumed
from tests.support.official_account import OfficialAccount
from tests.support.product import Product, catches, deployed
from tests.support.storm import Caller, assert_sound, connections
from tests.support.valkey import own_valkey

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.timeout(240)]

SEED = 20261122
ACTORS = 8
CUTS = 12
RESTARTS = 2
WITHOUT_REDIS_S = 4.0
# The product's backends came after the test's own pool was filled.
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
CUT = f"SELECT pg_terminate_backend(pid) FROM ({BACKENDS}) AS found WHERE pid <> ALL($1::int[])"
OWN_POOL = 20


async def begin(load: Load, product: Product, caller: Caller, clients: asyncio.TaskGroup) -> None:
    """Set the usual clients to work."""
    side = OfficialAccount(product.accounts.wechat_oa[0], product.base)
    till_key = await new_partner()
    template = (await shop.template(now=clock.now(), stock=100_000, per_member_limit=100)).code
    for _ in range(ACTORS):
        clients.create_task(act(load, side, caller, till_key, template))


async def all_listen(processes: "list[subprocess.Popen[bytes]]") -> bool:
    """Whether each process has come so far that it can be asked to stop."""
    return all(catches(process.pid, signal.SIGTERM) for process in processes)


async def kept(load: Load) -> None:
    """Everything that was promised."""
    await resumed()
    await assert_sound()
    await once_each(load)
    await repeats_agree(load)


async def test_no_request_fails_because_redis_is_gone(database_url: str, tmp_path: Path) -> None:
    with own_valkey(tmp_path) as redis_url:
        async with deployed(tmp_path, database_url, redis_url) as product:
            await product.serve(2)
            product.start("worker")
            load = Load()
            clerk = await new_staff(store_id=await new_store())
            member = await new_member()
            number = await db.fetch_value("SELECT number FROM member WHERE id = $1", member.id)
            async with connections(product.base) as caller:
                async with asyncio.TaskGroup() as clients:
                    await begin(load, product, caller, clients)
                    await asyncio.sleep(1)
                    with suppress(RedisError), Redis.from_url(redis_url) as client:
                        client.shutdown(nosave=True)
                    before = len(load.promises)
                    ends = asyncio.get_running_loop().time() + WITHOUT_REDIS_S
                    while asyncio.get_running_loop().time() < ends:
                        # A look-up counts its tries in Redis, and in the process while there is none.
                        found = await caller.by(clerk.token).post("/v1/staff/lookups", {"number": number})
                        assert found.status == 200, found
                        assert (await caller.get("/readyz")).status == 200
                    load.over = True
                assert len(load.promises) > before
                assert not load.troubles
                await kept(load)


async def test_connections_cut_by_the_database_lose_nothing(database_url: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with own_valkey(tmp_path) as redis_url:
        async with deployed(tmp_path, database_url, redis_url) as product:
            await side_by_side([db.fetch("SELECT pg_sleep(0.2)") for _ in range(OWN_POOL)])
            ours = [row["pid"] for row in await db.fetch(BACKENDS)]
            await product.serve(2)
            product.start("worker")
            load = Load(forgiving=True)
            async with connections(product.base) as caller:
                async with asyncio.TaskGroup() as clients:
                    await begin(load, product, caller, clients)
                    for _ in range(CUTS):
                        await asyncio.sleep(chance.uniform(0.1, 0.6))
                        await db.fetch(CUT, ours)
                    load.over = True
                print(f"\n{len(load.promises)} accepted, asked again after {dict(load.troubles)}")  # noqa: T201
                await kept(load)


async def test_restarts_under_load_are_polite_and_lose_nothing(database_url: str, tmp_path: Path) -> None:
    with own_valkey(tmp_path) as redis_url:
        async with deployed(tmp_path, database_url, redis_url) as product:
            await product.serve(2)
            product.start("worker")
            load, took = Load(), []
            async with connections(product.base) as caller:
                async with asyncio.TaskGroup() as clients:
                    await begin(load, product, caller, clients)
                    for _ in range(RESTARTS):
                        await asyncio.sleep(1)
                        running = list(product.running)
                        await eventually(partial(all_listen, running), within_s=30)
                        started = asyncio.get_running_loop().time()
                        await product.stop()
                        took.append(asyncio.get_running_loop().time() - started)
                        assert [process.returncode for process in running] == [0, 0]
                        await product.serve(2)
                        product.start("worker")
                    load.over = True
                print(  # noqa: T201 - asked to be reported
                    f"\n{len(load.promises)} accepted over {RESTARTS} restarts, stopping took at most"
                    f" {max(took):.1f} s, asked again after {dict(load.troubles)}"
                )
                await kept(load)
