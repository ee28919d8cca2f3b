"""The programme's own numbers, versioned and dated."""

from tortoise import fields
from tortoise.models import Model


class ProgramTerms(Model):
    """One published version of the terms; the newest with `effective_from` not in the future is in force."""

    id = fields.BigIntField(primary_key=True)
    version = fields.IntField(unique=True)
    effective_from = fields.DatetimeField(db_index=True)
    terms: fields.JSONField[dict[str, object]] = fields.JSONField()
    published_by = fields.CharField(max_length=64)
    published_at = fields.DatetimeField()

    class Meta:
        table = "program_terms"
