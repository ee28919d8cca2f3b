"""Access tokens of platforms, shared by all processes, with the lease that lets one of them refresh."""

from tortoise import fields
from tortoise.models import Model


class PlatformCredential(Model):
    """One platform token, sealed; `epoch` fences a refresher that lost its lease."""

    name = fields.CharField(max_length=120, primary_key=True)
    value_sealed = fields.BinaryField(null=True)
    expires_at = fields.DatetimeField(null=True)
    epoch = fields.BigIntField(default=0)
    lease_holder = fields.CharField(max_length=80, null=True)
    lease_until = fields.DatetimeField(null=True)

    class Meta:
        table = "platform_credential"
