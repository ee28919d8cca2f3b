"""Draws, their prizes, days, results and wins."""

from tortoise import fields
from tortoise.models import Model


class Draw(Model):
    """A draw; `document` is the canonical text that `fingerprint` names and never changes once published."""

    id = fields.BigIntField(primary_key=True)
    code = fields.CharField(max_length=40, unique=True)
    document = fields.TextField()
    fingerprint = fields.CharField(max_length=64)
    status = fields.CharField(max_length=12)
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField()
    created_by = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    published_at = fields.DatetimeField(null=True)
    approval_id = fields.BigIntField(null=True)

    class Meta:
        table = "draw"
        indexes = (("status", "ends_at"),)


class DrawStock(Model):
    """What was won of one limited prize; `won` never exceeds `stock` (CHECK)."""

    id = fields.BigIntField(primary_key=True)
    draw_id = fields.BigIntField()
    prize = fields.CharField(max_length=40)
    stock = fields.BigIntField()
    won = fields.BigIntField(default=0, db_default=0)

    class Meta:
        table = "draw_stock"
        unique_together = (("draw_id", "prize"),)


class DrawDay(Model):
    """One business day of a draw: its sealed seed, the commitment to it, and how far the records have come."""

    id = fields.BigIntField(primary_key=True)
    draw_id = fields.BigIntField()
    day = fields.DateField()
    seed_sealed = fields.BinaryField()
    commitment = fields.CharField(max_length=64)
    serial = fields.IntField(default=0, db_default=0)
    head = fields.CharField(max_length=64)
    left_before: fields.JSONField[dict[str, int]] = fields.JSONField(null=True)

    class Meta:
        table = "draw_day"
        unique_together = (("draw_id", "day"),)


class DrawRecord(Model):
    """One result, append-only: who drew, with which number, what it brought."""

    id = fields.BigIntField(primary_key=True)
    draw_id = fields.BigIntField()
    member_id = fields.BigIntField()
    key = fields.CharField(max_length=160)
    day = fields.DateField()
    serial = fields.IntField()
    ordinal = fields.IntField()
    nonce = fields.CharField(max_length=128)
    rolled = fields.BigIntField()
    prize = fields.CharField(max_length=40)
    link = fields.CharField(max_length=64)
    paid_by = fields.CharField(max_length=12)
    at = fields.DatetimeField()

    class Meta:
        table = "draw_record"
        unique_together = (
            ("draw_id", "day", "serial"),
            ("draw_id", "member_id", "ordinal"),
            ("draw_id", "member_id", "key"),
        )


class DrawWin(Model):
    """What became of a win: `given` at once, `waiting` to be handed over, `handed_over`, or `owed`."""

    id = fields.BigIntField(primary_key=True, generated=False)
    draw_id = fields.BigIntField(db_index=True)
    member_id = fields.BigIntField(db_index=True)
    prize = fields.CharField(max_length=40)
    status = fields.CharField(max_length=12)
    at = fields.DatetimeField()
    handed_over_at = fields.DatetimeField(null=True)
    handed_over_by = fields.BigIntField(null=True)
    store_id = fields.BigIntField(null=True)

    class Meta:
        table = "draw_win"


class DrawChance(Model):
    """Extra chances that something granted to a member; the key names the occasion, which grants once."""

    id = fields.BigIntField(primary_key=True)
    draw_id = fields.BigIntField()
    member_id = fields.BigIntField()
    key = fields.CharField(max_length=120)
    count = fields.IntField()
    at = fields.DatetimeField()

    class Meta:
        table = "draw_chance"
        unique_together = (("draw_id", "member_id", "key"),)
