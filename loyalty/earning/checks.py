"""What keeps a rule from working, by itself or beside the rules that are in force with it. Pure."""

from collections.abc import Iterable

from loyalty.conditions import checks as conditions
from loyalty.earning.documents import Multiplier, PerLine, PerYuan, Rule, line_scopes, scopes
from loyalty.errors import Invalid


class GroupMixed(Invalid):
    """Rules of one `group` have one trigger, one asset and one mode, and all or none of them are multipliable; `other`
    is the rule that this one does not fit."""

    code = "earning.group_mixed"


class BudgetDiffers(Invalid):
    """Another rule (`other`) of the same campaign has another total; a campaign has one budget."""

    code = "earning.budget_differs"


class KindUnknown(Invalid):
    """The terms declare no further kind of points of this name: `asset`."""

    code = "earning.kind_unknown"


def check(rule: Rule, *, kinds: Iterable[str], others: Iterable[Rule]) -> None:
    """Refuse a rule that cannot work. `kinds` are the further kinds of points, `others` the rules it will meet.

    Raises:
        ConditionInvalid: in one of its kinds, with the path from the rule's own document.
        KindUnknown, GroupMixed, BudgetDiffers
    """
    if rule.condition is not None:
        conditions.check(rule.condition, scopes=scopes(rule.trigger), path="condition")
    if isinstance(rule.amount, PerYuan | PerLine | Multiplier) and rule.amount.where is not None:
        conditions.check(rule.amount.where, scopes=line_scopes(), path="amount.where")
    if rule.asset.startswith("points:") and rule.asset.partition(":")[2] not in set(kinds):
        raise KindUnknown(asset=rule.asset)
    for other in others:
        if other.code != rule.code:
            _check_beside(rule, other)


def _check_beside(rule: Rule, other: Rule) -> None:
    if rule.group is not None and other.group is not None and rule.group.code == other.group.code:
        mine, theirs = _group(rule), _group(other)
        if mine != theirs:
            raise GroupMixed(group=rule.group.code, other=other.code)
    same_budget = rule.budget_code is not None and rule.budget_code == other.budget_code
    if same_budget and rule.budget is not None and other.budget is not None and rule.budget.total != other.budget.total:
        raise BudgetDiffers(other=other.code, campaign=rule.budget.campaign)


def _group(rule: Rule) -> tuple[object, ...]:
    return rule.trigger, rule.asset, rule.is_base, rule.group and rule.group.mode


def is_large(rule: Rule, *, alone_budget: int) -> bool:
    """Whether one person may not bring the rule before members alone: its budget is large, or it has none."""
    if rule.amount.kind == "nothing":
        return False
    return rule.budget is None or rule.budget.total > alone_budget
