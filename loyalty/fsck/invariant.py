"""What an invariant is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` returns one text column naming each offending row; nothing returned means that it holds."""

    name: str
    meaning: str
    sql: str
