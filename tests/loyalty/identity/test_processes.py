"""Several processes meet the same strangers at the same moment."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from loyalty import db
from tests.conftest import TEST_SECRET
from tests.loyalty.identity.arrivals import arrive

PROCESSES = 4
PEOPLE = 25


async def test_each_stranger_becomes_one_member(database: None, database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        loop = asyncio.get_running_loop()
        runs = [
            loop.run_in_executor(pool, partial(arrive, database_url, TEST_SECRET, PEOPLE)) for _ in range(PROCESSES)
        ]
        seen = [await run for run in runs]
    assert seen == [seen[0]] * PROCESSES
    assert all(oa == mini for oa, mini in seen[0])
    assert len({oa for oa, _ in seen[0]}) == PEOPLE
    assert await db.fetch_value("SELECT count(*) FROM member") == PEOPLE
    assert await db.fetch_value("SELECT count(*) FROM channel_identity") == 2 * PEOPLE
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'member.joined'") == PEOPLE
    assert await db.fetch_value("SELECT count(*) FROM ledger_balance") == 2 * PEOPLE
