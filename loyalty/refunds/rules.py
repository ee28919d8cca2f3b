"""What a refund takes back. Pure."""

from dataclasses import dataclass

from loyalty.money import split


@dataclass(frozen=True, slots=True)
class Shares:
    """What one refund takes back of the recorded earn."""

    points: int
    growth: int


def shares(*, amount_fen: int, refunded_before_fen: int, refund_fen: int, points: int, growth: int) -> Shares:
    """The part of a purchase's recorded `points` and `growth` that a refund takes back.

    Each refund takes what all refunds so far should have taken together, less what the earlier ones took:
    whatever their order and sizes, refunds of the whole amount take exactly all.
    """
    after_fen = refunded_before_fen + refund_fen
    return Shares(
        points=_part(points, after_fen, amount_fen) - _part(points, refunded_before_fen, amount_fen),
        growth=_part(growth, after_fen, amount_fen) - _part(growth, refunded_before_fen, amount_fen),
    )


def _part(units: int, part_fen: int, whole_fen: int) -> int:
    return split(units, [part_fen, whole_fen - part_fen])[0]
