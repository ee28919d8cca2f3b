"""How much one person does alone in a business day; above it another person decides, so splitting gains nothing."""

from datetime import date

from loyalty import db
from loyalty.access import Action, Limit

# The row is the day's counter and its lock: deeds of one person on one day count one after another.
_COUNT = """
INSERT INTO staff_allowance AS a (staff_id, day, what, used) VALUES ($1, $2, $3, $4)
ON CONFLICT (staff_id, day, what) DO UPDATE SET used = a.used + excluded.used
RETURNING used
"""


async def exceeds(staff_id: int, day: date, what: Action, units: int, limit: Limit) -> bool:
    """Count `units` (points or fen), done or asked for, and say whether they go beyond what one person does alone."""
    used: int = await db.fetch_value(_COUNT, staff_id, day, what.value, units)
    return units > limit.per_grant or used > limit.per_day


async def give_back(staff_id: int, day: date, what: Action, units: int) -> None:
    """What was asked for will not happen: the day has it again."""
    await db.execute(
        "UPDATE staff_allowance SET used = used - $4 WHERE staff_id = $1 AND day = $2 AND what = $3",
        staff_id,
        day,
        what.value,
        units,
    )
