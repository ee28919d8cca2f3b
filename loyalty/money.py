"""Amounts: fen for money, whole points for points, both integers; shares are split without loss."""

from collections.abc import Sequence
from typing import Final

AMOUNT_MAX: Final = 10**12


def split(total: int, weights: Sequence[int]) -> list[int]:
    """`total` shared out in proportion to `weights` by largest remainder; the parts add up exactly.

    Ties go to the earlier part, so the same input always gives the same split.
    """
    whole = sum(weights)
    if whole == 0:
        return [0 for _ in weights]
    parts = [total * weight // whole for weight in weights]
    rest = total - sum(parts)
    if not rest:
        return parts
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in by_remainder[:rest]:
        parts[index] += 1
    return parts


def yuan(fen: int) -> str:
    """`fen` as people read it: 12345 → "123.45"."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"
