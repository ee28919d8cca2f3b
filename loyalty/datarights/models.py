"""Tables of requests about one's own data, and of what was erased."""

from tortoise import fields
from tortoise.models import Model


class DataRequest(Model):
    """A member's request to export or delete their data, with its clock."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    kind = fields.CharField(max_length=12)
    status = fields.CharField(max_length=12)
    requested_at = fields.DatetimeField()
    due_at = fields.DatetimeField()
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        table = "data_request"
        indexes = (("member_id", "kind"),)


class ErasureLog(Model):
    """A member was erased; replayed after a restore, before the system opens. Holds nothing that names a person."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField(unique=True)
    member_hash = fields.CharField(max_length=64)
    erased_at = fields.DatetimeField()

    class Meta:
        table = "erasure_log"
