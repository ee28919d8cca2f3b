"""Tables of earning: rules and their versions, what was judged and given, and what limits count."""

from tortoise import fields
from tortoise.models import Model


class EarningRule(Model):
    """One version of one rule: draft, waiting (for another person), published, refused or withdrawn. `document` is the
    canonical text that `fingerprint` names; of a published version only its end is ever set, once and ahead."""

    id = fields.BigIntField(primary_key=True)
    code = fields.CharField(max_length=40)
    version = fields.IntField()
    status = fields.CharField(max_length=12)
    document = fields.TextField()
    fingerprint = fields.CharField(max_length=64)
    effective_from = fields.DatetimeField(null=True)
    effective_until = fields.DatetimeField(null=True)
    approval_id = fields.BigIntField(null=True)
    created_by = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    published_by = fields.CharField(max_length=64, null=True)
    published_at = fields.DatetimeField(null=True)

    class Meta:
        table = "earning_rule"
        unique_together = (("code", "version"),)


class EarningBudget(Model):
    """What a rule or a campaign may give to all members together; `used` never exceeds `total` (CHECK)."""

    id = fields.BigIntField(primary_key=True)
    code = fields.CharField(max_length=60, unique=True)
    total = fields.BigIntField()
    used = fields.BigIntField(default=0, db_default=0)

    class Meta:
        table = "earning_budget"


class EarningCounter(Model):
    """What a member was given in one period by one rule, or by all together."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    code = fields.CharField(max_length=60)
    period = fields.CharField(max_length=20)
    amount = fields.BigIntField(default=0, db_default=0)
    times = fields.BigIntField(default=0, db_default=0)
    last_at = fields.DatetimeField(null=True)

    class Meta:
        table = "earning_counter"
        unique_together = (("member_id", "code", "period"),)


class EarningFact(Model):
    """A fact that was judged, once, with everything that was known: it can be judged again and comes out the same."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    key = fields.CharField(max_length=120)
    trigger = fields.CharField(max_length=48)
    occurred_at = fields.DatetimeField()
    judged_at = fields.DatetimeField()
    inputs: fields.JSONField[dict[str, object]] = fields.JSONField()
    inputs_hash = fields.CharField(max_length=64)

    class Meta:
        table = "earning_fact"
        unique_together = (("member_id", "key"),)
        indexes = (("key",), ("occurred_at", "id"))


class EarningAward(Model):
    """What one version of a rule gave for a fact, what it withheld, and what a refund took back of it."""

    id = fields.BigIntField(primary_key=True)
    fact_id = fields.BigIntField(db_index=True)
    member_id = fields.BigIntField()
    rule = fields.CharField(max_length=40)
    version = fields.IntField()
    asset = fields.CharField(max_length=24)
    amount = fields.BigIntField()
    wanted = fields.BigIntField()
    returned = fields.BigIntField(default=0, db_default=0)
    withheld: fields.JSONField[list[dict[str, object]]] = fields.JSONField()
    details: fields.JSONField[dict[str, object]] = fields.JSONField()
    counted: fields.JSONField[list[list[str]]] = fields.JSONField()
    budget = fields.CharField(max_length=60, null=True)
    grant_key = fields.CharField(max_length=160, null=True)

    class Meta:
        table = "earning_award"
        indexes = (("rule", "id"),)
