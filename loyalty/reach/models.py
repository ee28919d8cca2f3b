"""How somebody can be reached right now: interaction windows, subscribe grants, stopped routes."""

from tortoise import fields
from tortoise.models import Model


class Window(Model):
    """An interaction window of one identity: so many free-form messages until `expires_at`."""

    id = fields.BigIntField(primary_key=True)
    identity_id = fields.BigIntField()
    kind = fields.CharField(max_length=16)
    remaining = fields.IntField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "reach_window"
        unique_together = (("identity_id", "kind"),)


class Grant(Model):
    """How many messages of a subscribe template the person still allows."""

    id = fields.BigIntField(primary_key=True)
    identity_id = fields.BigIntField()
    template_id = fields.CharField(max_length=80)
    remaining = fields.IntField()
    refused = fields.BooleanField(default=False)
    updated_at = fields.DatetimeField()

    class Meta:
        table = "reach_grant"
        unique_together = (("identity_id", "template_id"),)


class Stop(Model):
    """A route of an account that must rest until `until` (quota, configuration, rate)."""

    id = fields.BigIntField(primary_key=True)
    channel = fields.CharField(max_length=16)
    account = fields.CharField(max_length=40)
    route = fields.CharField(max_length=24)
    until = fields.DatetimeField()
    reason = fields.CharField(max_length=80)

    class Meta:
        table = "reach_stop"
        unique_together = (("channel", "account", "route"),)
