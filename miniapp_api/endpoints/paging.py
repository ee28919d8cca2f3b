"""Pages: a limit and an opaque cursor that continues where the page before ended."""

from typing import Annotated, Final

from pydantic import Field

from miniapp_api.endpoint import Query
from miniapp_api.public_ids import Kind, PublicId, public_id, row_id

LIMIT_MAX: Final = 100
LIMIT_DEFAULT: Final = 20


class PageQuery(Query):
    """Which part of a list."""

    cursor: PublicId | None = None
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT


def before(query: PageQuery, kind: Kind) -> int | None:
    """The row that the page comes before, None for the first page.

    Raises:
        NotFound: the cursor was never given out.
    """
    return None if query.cursor is None else row_id(kind, query.cursor)


def next_cursor(kind: Kind, number: int | None) -> str | None:
    """The cursor of the following page; None at the end."""
    return None if number is None else public_id(kind, number)
