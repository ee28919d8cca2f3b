"""The database that the migrations build is the one that the models declare, and every guard is written down.

Two databases are compared by PostgreSQL's own catalogue: one migrated to head, one made from the models. What
the first has more must stand in a migration's list of guards; Tortoise emits none of those.
"""

import pkgutil
import re
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any, Final, cast

import asyncpg
import pytest
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.asyncpg.schema_generator import AsyncpgSchemaGenerator
from tortoise.connection import get_connection

from loyalty import db

DECLARED: Final = "declared_by_models"
# A model that cannot say what the migrations do, and why.
DIFFERENT_ON_PURPOSE: Final[dict[str, str]] = {
    "tortoise_migrations": "the migrations' own table",
}

COLUMNS: Final = """
SELECT c.relname AS tbl, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       a.attidentity AS identity, pg_get_expr(d.adbin, d.adrelid) AS preset
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""
INDEXES: Final = """
SELECT t.relname AS tbl, i.relname AS name, pg_get_indexdef(i.oid) AS definition
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE t.relnamespace = $1::regnamespace
"""
CONSTRAINTS: Final = """
SELECT t.relname AS tbl, k.conname AS name, k.contype AS kind, pg_get_constraintdef(k.oid) AS definition
FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
WHERE t.relnamespace = $1::regnamespace AND k.contype <> 'n'
"""
TRIGGERS: Final = """
SELECT t.relname AS tbl, g.tgname AS name FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
WHERE t.relnamespace = $1::regnamespace AND NOT g.tgisinternal
"""


@pytest.fixture
async def both(database: None, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees the migrated tables in `public` and the models' tables beside them."""
    statements = AsyncpgSchemaGenerator(cast("AsyncpgDBClient", get_connection(db.CONNECTION))).get_create_schema_sql(
        safe=False
    )
    credentials = db.tortoise_config(database_url)["connections"][db.CONNECTION]["credentials"]
    server = {key: credentials[key] for key in ("host", "port", "user", "password", "database")}
    connection = await asyncpg.connect(**server, server_settings={"search_path": DECLARED})
    try:
        await connection.execute(f"CREATE SCHEMA {DECLARED}")
        await connection.execute(statements)
        yield connection
    finally:
        await connection.execute(f"DROP SCHEMA IF EXISTS {DECLARED} CASCADE")
        await connection.close()


async def catalogue(connection: asyncpg.Connection, query: str, schema: str) -> list[dict[str, Any]]:
    rows = [{key: _plain(value) for key, value in row.items()} for row in await connection.fetch(query, schema)]
    return [row for row in rows if row["tbl"] not in DIFFERENT_ON_PURPOSE]


def _plain(value: Any) -> Any:
    """Catalogue text without the name of the schema, which is all that may differ."""
    text = value.decode() if isinstance(value, bytes) else value
    return re.sub(rf"\b(?:public|{DECLARED})\.", "", text) if isinstance(text, str) else text


def shape(index: dict[str, Any]) -> str:
    """An index without its name: names are the generator's own."""
    return re.sub(r"INDEX \S+ ON", "INDEX ON", index["definition"])


def guards(kind: str) -> list[Any]:
    """What the migrations list under `kind`, in the order they add it."""
    package = import_module(db.MIGRATIONS_MODULE)
    modules = (import_module(f"{package.__name__}.{module.name}") for module in pkgutil.iter_modules(package.__path__))
    return [row for module in modules for row in getattr(module, kind, ())]


async def test_columns_are_those_of_the_models(both: asyncpg.Connection) -> None:
    migrated = {(row["tbl"], row["name"]): row for row in await catalogue(both, COLUMNS, "public")}
    declared = {(row["tbl"], row["name"]): row for row in await catalogue(both, COLUMNS, DECLARED)}
    assert len(declared) > 200
    assert migrated == declared


async def test_indexes_are_those_of_the_models_and_the_listed_guards(both: asyncpg.Connection) -> None:
    declared = sorted(shape(row) for row in await catalogue(both, INDEXES, DECLARED))
    listed = {match[1] for sql in guards("INDEXES") if (match := re.match(r"CREATE (?:UNIQUE )?INDEX (\w+) ON ", sql))}
    assert len(listed) == len(guards("INDEXES")), "an index guard starts with CREATE [UNIQUE] INDEX name ON"
    migrated = await catalogue(both, INDEXES, "public")
    assert listed <= {row["name"] for row in migrated}
    excluding = {name for _table, name, _rule in guards("EXCLUSIONS")}
    assert sorted(shape(row) for row in migrated if row["name"] not in listed | excluding) == declared


async def test_constraints_are_those_of_the_models_and_the_listed_checks(both: asyncpg.Connection) -> None:
    migrated = await catalogue(both, CONSTRAINTS, "public")
    declared = await catalogue(both, CONSTRAINTS, DECLARED)
    checks = {(row["tbl"], row["name"]) for row in migrated if row["kind"] == "c"}
    assert checks == {(table, name) for table, name, _rule in guards("CHECKS")}
    exclusions = {(row["tbl"], row["name"]) for row in migrated if row["kind"] == "x"}
    assert exclusions == {(table, name) for table, name, _rule in guards("EXCLUSIONS")}
    assert sorted((row["tbl"], row["definition"]) for row in migrated if row["kind"] not in {"c", "x"}) == sorted(
        (row["tbl"], row["definition"]) for row in declared
    )


async def test_history_is_guarded_by_the_listed_triggers(both: asyncpg.Connection) -> None:
    triggers = {row["tbl"] for row in await catalogue(both, TRIGGERS, "public")}
    assert triggers == set(guards("APPEND_ONLY"))
    assert await catalogue(both, TRIGGERS, DECLARED) == []


async def test_a_drifted_column_is_noticed(both: asyncpg.Connection) -> None:
    await both.execute("ALTER TABLE member ADD COLUMN forgotten int")
    migrated = await catalogue(both, COLUMNS, "public")
    assert [row["name"] for row in await catalogue(both, COLUMNS, DECLARED) if row not in migrated] == ["forgotten"]


def test_migrations_are_numbered_without_gaps() -> None:
    names = [module.name for module in pkgutil.iter_modules(import_module(db.MIGRATIONS_MODULE).__path__)]
    assert [int(name[:4]) for name in sorted(names)] == list(range(1, len(names) + 1))
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+", name) for name in names)
