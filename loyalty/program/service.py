"""Publishing terms."""

from datetime import datetime

import orjson

from loyalty import db
from loyalty.program.terms import Terms


async def publish(terms: Terms, *, by: str, effective_from: datetime, now: datetime) -> int:
    """Store `terms` as the next version, in force from `effective_from`; the version."""
    version: int = await db.fetch_value(
        "INSERT INTO program_terms (version, effective_from, terms, published_by, published_at)"
        " SELECT coalesce(max(version), 0) + 1, $1, $2::jsonb, $3, $4 FROM program_terms RETURNING version",
        effective_from,
        orjson.dumps(terms.model_dump(mode="json")).decode(),
        by,
        now,
    )
    return version
