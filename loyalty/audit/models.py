"""The audit trail."""

from tortoise import fields
from tortoise.models import Model


class AuditEntry(Model):
    """Who did or tried what to whom, append-only."""

    id = fields.BigIntField(primary_key=True)
    at = fields.DatetimeField()
    actor_kind = fields.CharField(max_length=12)
    actor_id = fields.BigIntField(null=True)
    action = fields.CharField(max_length=48)
    member_id = fields.BigIntField(null=True)
    store_id = fields.BigIntField(null=True)
    outcome = fields.CharField(max_length=16)
    reason = fields.CharField(max_length=200)
    details: fields.JSONField[dict[str, object]] = fields.JSONField()

    class Meta:
        table = "audit_entry"
        indexes = (("member_id", "id"), ("actor_kind", "actor_id", "id"))


class AuditPending(Model):
    """An entry that the chain has not reached yet; `id` is the entry's own."""

    id = fields.BigIntField(primary_key=True, generated=False)

    class Meta:
        table = "audit_pending"


class AuditLink(Model):
    """One link of the chain, append-only: which entry stands at this position, and the hash over it and all before."""

    position = fields.BigIntField(primary_key=True, generated=False)
    entry_id = fields.BigIntField(unique=True)
    hash = fields.CharField(max_length=64)
    sealed_at = fields.DatetimeField()

    class Meta:
        table = "audit_link"


class AuditDay(Model):
    """The head of the chain when a business day was over, append-only: what is kept outside of the database."""

    day = fields.DateField(primary_key=True)
    position = fields.BigIntField()
    hash = fields.CharField(max_length=64)

    class Meta:
        table = "audit_day"
