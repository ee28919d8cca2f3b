"""The database door: connection, unit of work, and raw set-based statements.

Only `loyalty` imports this module's neighbours' tables; edges import it for `connect` and `unit_of_work`.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from tortoise import Tortoise, connections
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.exceptions import DBConnectionError, IntegrityError
from tortoise.transactions import in_transaction

from loyalty import bell, clock
from loyalty.errors import Bug, ensure

Row: TypeAlias = asyncpg.Record

CONNECTION: Final = "default"
MODEL_MODULES: Final = (
    "loyalty.allowances.models",
    "loyalty.approvals.models",
    "loyalty.attempts.models",
    "loyalty.audit.models",
    "loyalty.check_ins.models",
    "loyalty.checkout.models",
    "loyalty.consents.models",
    "loyalty.coupon_templates.models",
    "loyalty.coupons.models",
    "loyalty.credentials.models",
    "loyalty.datarights.models",
    "loyalty.deductions.models",
    "loyalty.dialogues.models",
    "loyalty.draws.models",
    "loyalty.earning.models",
    "loyalty.identity.models",
    "loyalty.inbox.models",
    "loyalty.journeys.models",
    "loyalty.ladder_moves.models",
    "loyalty.ladders.models",
    "loyalty.ledger.models",
    "loyalty.mall.models",
    "loyalty.member_codes.models",
    "loyalty.member_events.models",
    "loyalty.members.models",
    "loyalty.merges.models",
    "loyalty.offline_codes.models",
    "loyalty.outbox.models",
    "loyalty.payments.models",
    "loyalty.phone_claims.models",
    "loyalty.phones.models",
    "loyalty.points.models",
    "loyalty.program.models",
    "loyalty.purchases.models",
    "loyalty.reach.models",
    "loyalty.refunds.models",
    "loyalty.rounds.models",
    "loyalty.sessions.models",
    "loyalty.spine.models",
    "loyalty.staff.models",
    "loyalty.staff_refunds.models",
    "loyalty.stored_value.models",
    "loyalty.tier_overrides.models",
    "loyalty.tiers.models",
)
MIGRATIONS_MODULE: Final = "loyalty.migrations"
POOL_SIZE_DEFAULT: Final = 10
RETRIES_MAX: Final = 4

# The database is away or cut the connection: the same request may well succeed a moment later.
CONNECTION_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    DBConnectionError,
    ConnectionError,
)

T = TypeVar("T")


class PooledConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no annotations
    """A connection that goes back to the pool as it is.

    The default asks the server to reset the session each time, which doubles the round trips of a single
    statement; nothing here ever changes a session's state, and open transactions are rolled back anyway.
    """

    def get_reset_query(self) -> str:
        """Nothing to reset."""
        return ""


class Overtaken(Exception):
    """Another unit of work was faster with the very same thing: done again, this one will see what that one did."""


_open: ContextVar[asyncpg.Connection | None] = ContextVar("unit_of_work_open", default=None)
_kept: ContextVar[asyncpg.Connection | None] = ContextVar("connection_kept", default=None)


def tortoise_config(database_url: str, *, pool_size: int = POOL_SIZE_DEFAULT) -> dict[str, Any]:
    """Tortoise's configuration for `database_url`, of the form `postgres://user@host:port/name` or
    `postgres:///name?host=/socket/folder&user=…` for a unix socket."""
    return {
        "connections": {
            CONNECTION: {
                "engine": "tortoise.backends.asyncpg",
                "credentials": {
                    **_credentials(database_url),
                    "minsize": 1,
                    "maxsize": pool_size,
                    "connection_class": PooledConnection,
                },
            }
        },
        "apps": {
            "loyalty": {
                "models": list(MODEL_MODULES),
                "default_connection": CONNECTION,
                "migrations": MIGRATIONS_MODULE,
            }
        },
        "use_tz": True,
        "timezone": "UTC",
    }


def _credentials(database_url: str) -> dict[str, Any]:
    url = urlsplit(database_url)
    ensure(url.scheme in {"postgres", "postgresql"}, "the database URL starts with postgres://")
    query = {key: values[-1] for key, values in parse_qs(url.query).items()}
    return {
        "host": url.hostname or query.get("host"),
        "port": url.port or int(query.get("port", "5432")),
        "user": unquote(url.username or "") or query.get("user", "postgres"),
        "password": unquote(url.password) if url.password is not None else query.get("password"),
        "database": unquote(url.path.lstrip("/")),
        **({"ssl": query["sslmode"]} if "sslmode" in query else {}),
    }


async def connect(database_url: str, *, pool_size: int = POOL_SIZE_DEFAULT) -> None:
    """Open the pool of this process."""
    await Tortoise.init(config=tortoise_config(database_url, pool_size=pool_size), _enable_global_fallback=True)


async def disconnect() -> None:
    """Close the pool of this process."""
    await Tortoise.close_connections()


def in_unit_of_work() -> bool:
    """True inside `unit_of_work`; network clients refuse to run there."""
    return _open.get() is not None


@asynccontextmanager
async def unit_of_work() -> AsyncIterator[None]:
    """One transaction per message, request, job or batch, opened at the edge and never by a verb."""
    ensure(not in_unit_of_work(), "units of work do not nest: verbs never open one")
    rung = bell.collect()
    async with in_transaction(CONNECTION) as transaction:
        # Raw statements go straight to its connection; the ORM's own way there takes a lock each time.
        token = _open.set(transaction.acquire_connection().connection)
        try:
            yield
        finally:
            _open.reset(token)
    bell.sound(rung)


@asynccontextmanager
async def one_connection() -> AsyncIterator[None]:
    """Statements that read one after another, outside of a unit of work, go over one connection: taking one from the
    pool for each costs as much as a small statement. Nothing holds them together otherwise."""
    ensure(not in_unit_of_work(), "a unit of work has its connection")
    async with _client().acquire_connection() as connection:
        token = _kept.set(connection)
        try:
            yield
        finally:
            _kept.reset(token)


@asynccontextmanager
async def attempt() -> AsyncIterator[None]:
    """A savepoint inside the unit of work: what fails in it is undone, the rest stays usable."""
    ensure(in_unit_of_work(), "attempts happen inside a unit of work")
    async with in_transaction(CONNECTION):
        yield


async def retried(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `work`, which opens its own unit of work, again when it was overtaken or PostgreSQL broke a tie.

    Raises:
        the last error after `RETRIES_MAX` tries.
    """
    for _ in range(RETRIES_MAX - 1):
        try:
            return await work()
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, Overtaken):
            continue
    return await work()


async def now() -> datetime:
    """The database's clock, which is the same for every worker, moved along with the sandbox's."""
    moment: datetime = await fetch_value("SELECT clock_timestamp()")
    return moment + clock.offset()


def _client() -> AsyncpgDBClient:
    client = connections.get(CONNECTION)
    if not isinstance(client, AsyncpgDBClient):
        raise Bug("the connection speaks asyncpg")
    return client


async def fetch(sql: str, *args: object) -> Sequence[Row]:
    """All rows of one statement, in the unit of work when one is open.

    Raises:
        IntegrityError: a constraint refused it, see `constraint_of`.
    """
    rows: Sequence[Row]
    try:
        if (mine := _open.get() or _kept.get()) is not None:
            rows = await mine.fetch(sql, *args)
        else:
            async with _client().acquire_connection() as connection:
                rows = await connection.fetch(sql, *args)
    except asyncpg.IntegrityConstraintViolationError as broken:
        raise IntegrityError(broken) from broken
    return rows


async def fetch_one(sql: str, *args: object) -> Row | None:
    """The first row of one statement, or None."""
    rows = await fetch(sql, *args)
    return rows[0] if rows else None


async def fetch_value(sql: str, *args: object) -> Any:
    """The first column of the first row, or None."""
    row = await fetch_one(sql, *args)
    return row[0] if row is not None else None


async def execute(sql: str, *args: object) -> int:
    """Run one statement; the number of rows it touched.

    Raises:
        IntegrityError: a constraint refused it, see `constraint_of`.
    """
    try:
        if (opened := _open.get()) is not None:
            status: str = await opened.execute(sql, *args)
        else:
            async with _client().acquire_connection() as connection:
                status = await connection.execute(sql, *args)
    except asyncpg.IntegrityConstraintViolationError as broken:
        raise IntegrityError(broken) from broken
    tail = status.rsplit(" ", 1)[-1]
    return int(tail) if tail.isdigit() else 0


def constraint_of(error: IntegrityError) -> str:
    """The name of the constraint that refused a row, or an empty string."""
    cause = error.args[0] if error.args else None
    return str(getattr(cause, "constraint_name", "") or "")


def jsonable(row: Row) -> Mapping[str, Any]:
    """A row as a plain mapping."""
    return dict(row)
