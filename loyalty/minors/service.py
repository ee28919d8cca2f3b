"""Minors (未成年人) come of age: the protection ends on the birthday, not when somebody looks."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from loyalty import clock, db
from loyalty.members import rules
from loyalty.members import service as members
from loyalty.program import queries as program

# Looks back over days on which the sweep did not run; longer gaps are caught a year later.
LOOK_BACK_DAYS: Final = 14

_CANDIDATES: Final = """
SELECT m.id, m.birthday_sealed, k.wrapped_key FROM member m JOIN member_key k ON k.member_id = m.id
WHERE m.is_minor AND m.birthday_month_day = ANY($1) AND m.birthday_sealed IS NOT NULL AND k.wrapped_key IS NOT NULL
ORDER BY m.id LIMIT $2
"""


async def come_of_age(*, now: datetime, batch_max: int) -> int:
    """Lift the mark off members who turned 18 within the last two weeks, at most `batch_max` looked at; how many."""
    today = clock.business_day(now, (await program.in_force(now)).terms.calendar)
    rows = await db.fetch(_CANDIDATES, _month_days(today), batch_max)
    grown = [row["id"] for row in rows if not rules.is_minor(_birthday(row), today)]
    if not grown:
        return 0
    return await db.execute("UPDATE member SET is_minor = false WHERE id = ANY($1) AND is_minor", grown)


def _month_days(today: date) -> Sequence[int]:
    days = [rules.month_day(today - timedelta(days=back)) for back in range(LOOK_BACK_DAYS)]
    # Born on 29 February, grown up on 1 March of a year that has no such day.
    return [*days, 229] if 301 in days else days  # noqa: PLR2004 - month and day as one number


def _birthday(row: db.Row) -> date:
    key = members.unwrapped(row["id"], row["wrapped_key"])
    return date.fromisoformat(members.unsealed(row["id"], "birthday", row["birthday_sealed"], key))
