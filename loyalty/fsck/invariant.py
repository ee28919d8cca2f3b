"""What an invariant is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` returns one text column naming each offending row; nothing returned means that it holds.

    `of_members` is the same for some members, whose ids are its one parameter; None where only the whole can be right.
    """

    name: str
    meaning: str
    sql: str
    of_members: str | None = None
