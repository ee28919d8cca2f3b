"""The schema of the tests is the one that the migrations build."""

import pytest
from tortoise.exceptions import IntegrityError

from loyalty import db, schema


async def test_a_migrated_database_is_at_head(database: None) -> None:
    assert await schema.missing() == []


async def test_migrating_again_changes_nothing(database: None, database_url: str) -> None:
    assert await db.fetch_value("SELECT count(*) FROM tortoise_migrations") >= 2


async def test_history_cannot_be_edited(database: None) -> None:
    await db.execute(
        "INSERT INTO event (name, version, data, at, recorded_at) VALUES ('member.joined', 1, '{}', now(), now())"
    )
    with pytest.raises(IntegrityError, match="history"):
        await db.execute("UPDATE event SET name = 'other'")
    with pytest.raises(IntegrityError, match="history"):
        await db.execute("DELETE FROM event")
