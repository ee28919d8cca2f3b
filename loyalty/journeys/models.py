"""Runs of automated journeys: timers are rows."""

from tortoise import fields
from tortoise.models import Model


class JourneyRun(Model):
    """One member on one journey; (journey, key) makes the enrolment happen once."""

    id = fields.BigIntField(primary_key=True)
    journey = fields.CharField(max_length=40)
    key = fields.CharField(max_length=120)
    member_id = fields.BigIntField(db_index=True)
    node = fields.CharField(max_length=40)
    data: fields.JSONField[dict[str, object]] = fields.JSONField()
    status = fields.CharField(max_length=12)
    due_at = fields.DatetimeField()
    attempts = fields.SmallIntField(default=0)
    started_at = fields.DatetimeField()
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        table = "journey_run"
        unique_together = (("journey", "key"),)
