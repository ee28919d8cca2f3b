"""What goes out: a row first, written with its cause."""

from tortoise import fields
from tortoise.models import Model


class OutboxMessage(Model):
    """One message to one person, with everything that was tried and what became of it."""

    id = fields.BigIntField(primary_key=True)
    key = fields.CharField(max_length=160, unique=True)
    member_id = fields.BigIntField(null=True)
    staff_id = fields.BigIntField(null=True)
    identity_id = fields.BigIntField(null=True)
    send_class = fields.CharField(max_length=16)
    purpose = fields.CharField(max_length=32)
    notice = fields.CharField(max_length=40)
    params: fields.JSONField[dict[str, object]] = fields.JSONField()
    bulk = fields.BooleanField(default=False)
    status = fields.CharField(max_length=12)
    attempts = fields.SmallIntField(default=0)
    due_at = fields.DatetimeField()
    give_up_at = fields.DatetimeField()
    lease_until = fields.DatetimeField(null=True)
    epoch = fields.IntField(default=0)
    channel = fields.CharField(max_length=16, null=True)
    account = fields.CharField(max_length=40, null=True)
    route = fields.CharField(max_length=24, null=True)
    platform_message_id = fields.CharField(max_length=80, null=True)
    code = fields.CharField(max_length=40, null=True)
    created_at = fields.DatetimeField()
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        table = "outbox"
        indexes = (("member_id", "id"), ("platform_message_id",))
