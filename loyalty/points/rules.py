"""Whether a grant may be given alone. Pure."""

from loyalty.access import Limit


def needs_another(points: int, *, given_today: int, limit: Limit) -> bool:
    """True when a grant of `points` goes beyond what one person gives alone, at once or over the day.

    `given_today` counts what is posted and what waits, so that splitting a large grant gains nothing.
    """
    return points > limit.per_grant or given_today + points > limit.per_day
