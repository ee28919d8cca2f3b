"""Refusals and bugs.

A refusal is an expected "no" with a stable code, parameters for its words, and an HTTP status; the
words themselves live in `templates/`. A bug is our own broken expectation and never shown to people.
"""

from typing import ClassVar, NoReturn


class Bug(Exception):
    """An expectation of ours does not hold; the unit of work is abandoned."""


def ensure(condition: bool, expectation: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Raise `Bug` unless `condition`; unlike `assert` it stays on under `-O`."""
    if not condition:
        raise Bug(expectation)


def unreachable(what: str) -> NoReturn:
    """A branch that correct data cannot reach."""
    raise Bug(what)


class Refusal(Exception):
    """An expected "no". `code` is stable and public; `params` fill the words of `templates/refusals`."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 422

    def __init__(self, **params: object) -> None:
        super().__init__(self.code)
        self.params = params


class Invalid(Refusal):
    """The request is malformed or a value is out of range."""

    code = "invalid"
    status = 400


class Unauthenticated(Refusal):
    """Nobody is logged in, or the session ended."""

    code = "unauthenticated"
    status = 401


class Forbidden(Refusal):
    """The principal may not do this."""

    code = "forbidden"
    status = 403


class NotFound(Refusal):
    """It does not exist, or the principal may not know that it does."""

    code = "not_found"
    status = 404


class Conflict(Refusal):
    """The state does not allow it (any more)."""

    code = "conflict"
    status = 409


class TooMany(Refusal):
    """A rate or attempt limit is reached; `retry_after_s` is among the parameters."""

    code = "too_many"
    status = 429


class Unavailable(Refusal):
    """Something we depend on is away; trying again later helps."""

    code = "unavailable"
    status = 503
