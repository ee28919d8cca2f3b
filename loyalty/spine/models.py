"""The event spine: every fact, append-only, and the queue of facts that subscribers still have to see."""

from tortoise import fields
from tortoise.models import Model


class EventRecord(Model):
    """One fact, past tense, never changed."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField(null=True)
    name = fields.CharField(max_length=48)
    version = fields.SmallIntField()
    data: fields.JSONField[dict[str, object]] = fields.JSONField()
    at = fields.DatetimeField()
    recorded_at = fields.DatetimeField()

    class Meta:
        table = "event"
        indexes = (("member_id", "id"), ("name", "at"))


class EventPending(Model):
    """An event not yet handed to its subscribers."""

    event_id = fields.BigIntField(primary_key=True, generated=False)
    due_at = fields.DatetimeField(db_index=True)
    attempts = fields.SmallIntField(default=0)
    dead_reason = fields.CharField(max_length=200, null=True)

    class Meta:
        table = "event_pending"
