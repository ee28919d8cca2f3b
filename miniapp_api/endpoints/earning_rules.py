"""Earning rules as marketers see them: drafted, tried out, published, ended; every version stays readable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from loyalty.access import Action, OwnRequest
from loyalty.approvals.service import AlreadyDecided, ApprovalExpired, ApprovalUnknown, PayloadChanged
from loyalty.conditions import nodes
from loyalty.conditions.checks import (
    ConditionInvalid,
    ConditionTooComplex,
    FieldNotHere,
    FieldUnknown,
    OperatorUnfit,
    RangeEmpty,
    ValueUnfit,
)
from loyalty.conditions.vocabulary import ENTRIES
from loyalty.earning import asking, documents, publishing, queries, trying
from loyalty.earning.checks import BudgetDiffers, GroupMixed, KindUnknown
from loyalty.earning.documents import Rule, Trigger
from loyalty.earning.facts import FactLine
from loyalty.earning.publishing import BudgetSpent, EndsTooEarly, RuleChanged, RuleUnknown
from loyalty.earning.queries import RuleView
from loyalty.earning.rules import Evaluation
from loyalty.members import queries as members
from loyalty.members.service import MemberGone
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary

UNWORKABLE = (
    ConditionInvalid,
    ConditionTooComplex,
    FieldUnknown,
    FieldNotHere,
    OperatorUnfit,
    ValueUnfit,
    RangeEmpty,
    KindUnknown,
    GroupMixed,
    BudgetDiffers,
)


DECIDED = (AlreadyDecided, ApprovalExpired, ApprovalUnknown, PayloadChanged)


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """One version of a rule; publishing names the rule that was read. `budget_used` counts over versions; `approval` is
    the request that a waiting version waits for."""

    code: str
    version: int
    status: str
    rule_sha256: str
    document: Mapping[str, Any]
    effective_from: datetime | None
    effective_until: datetime | None
    created_by: str
    created_at: datetime
    published_by: str | None
    published_at: datetime | None
    budget_used: int | None = None
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenRules:
    """The newest version of each rule, by code."""

    items: tuple[WrittenRule, ...]


@dataclass(frozen=True, slots=True)
class RuleHistory:
    """Every version of one rule, newest first."""

    items: tuple[WrittenRule, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What conditions may speak about, and the JSON Schemas of a condition and of a rule for forms."""

    fields: tuple[Mapping[str, Any], ...]
    condition_schema: Mapping[str, Any]
    rule_schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GivenAward:
    """What one rule gives; `withheld` names each limit that took something off `wanted`."""

    rule: str
    version: int
    asset: str
    amount: int
    wanted: int
    withheld: tuple[Mapping[str, Any], ...]
    per_line: tuple[int, ...]
    explanation: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SilentRule:
    """A rule that gives nothing: `why`, the `path` of the condition's node that does not hold, the rule that it gave
    way to (`by`), or the limit (`reason`)."""

    rule: str
    version: int
    asset: str
    why: str
    path: str | None
    by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a fact would earn; nothing was written."""

    totals: Mapping[str, int]
    awards: tuple[GivenAward, ...]
    unfired: tuple[SilentRule, ...]


class RuleDocument(Rule, Body):
    """The rule: trigger, condition, amount, limits, budget, group and dates."""


class RulePublication(Body):
    """Which draft is meant."""

    rule_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RuleEnd(Body):
    """When it ends; without a date at once."""

    at: AwareDatetime | None = None


class TriedLine(Body):
    """One line of a purchase that is tried out."""

    amount_fen: Annotated[int, Field(ge=0, le=10**12)]
    sku: str | None = None
    category: str | None = None
    quantity: Annotated[int, Field(ge=1, le=100_000)] = 1
    tags: tuple[str, ...] = ()
    voided: bool = False


class TriedFact(Body):
    """A fact to try out on a member, with the rules in force and, instead of its published version, a `rule`."""

    member: UUID
    trigger: Trigger
    occurred_at: AwareDatetime | None = None
    amount_fen: Annotated[int, Field(ge=0, le=10**12)] = 0
    tenders: dict[str, Annotated[int, Field(ge=0, le=10**12)]] = Field(default_factory=dict)
    lines: Annotated[tuple[TriedLine, ...], Field(max_length=200)] = ()
    store: str | None = None
    channel: str | None = None
    values: dict[str, JsonValue] = Field(default_factory=dict)
    rule: Rule | None = None


async def list_earning_rules(call: Call[NoBody, NoQuery]) -> WrittenRules:
    """The newest version of each rule."""
    return WrittenRules(items=await _written(await queries.newest()))


async def earning_rule_history(call: Call[NoBody, NoQuery]) -> RuleHistory:
    """Every version of a rule."""
    found = await queries.versions(call.path["code"])
    if not found:
        raise RuleUnknown
    return RuleHistory(items=await _written(found))


async def earning_vocabulary(call: Call[NoBody, NoQuery]) -> Vocabulary:
    """What the form of a rule offers."""
    return Vocabulary(
        fields=tuple(
            {"name": one.name, "kind": one.kind.value, "windowed": one.windowed, "values": list(one.values)}
            for one in ENTRIES
        ),
        condition_schema=nodes.schema(),
        rule_schema=Rule.model_json_schema(),
    )


async def draft_earning_rule(call: Call[RuleDocument, NoQuery]) -> WrittenRule:
    """Write a draft; the answer's `rule_sha256` is what publishing names."""
    rule = Rule.model_validate(call.body.model_dump())
    return await _one(await publishing.draft(rule, principal=call.staff, now=call.now))


async def publish_earning_rule(call: Call[RulePublication, NoQuery]) -> WrittenRule:
    """Bring a draft before members, or ask another person where its budget is large: then its status is `waiting`."""
    done = await asking.publish(call.path["code"], call.body.rule_sha256, principal=call.staff, now=call.now)
    return await _one(done)


async def approve_earning_rule(call: Call[RulePublication, NoQuery]) -> WrittenRule:
    """Agree to a draft of somebody else that one person may not publish alone, and bring it before members."""
    code, fingerprint = call.path["code"], call.body.rule_sha256
    waiting = await asking.waiting_version(code, fingerprint)
    if waiting is None:
        return await _one(await publishing.approve(code, fingerprint, principal=call.staff, now=call.now))
    await asking.decide(waiting, call.staff, approve=True, now=call.now)
    return next(one for one in await _written(await queries.versions(code)) if one.rule_sha256 == fingerprint)


async def end_earning_rule(call: Call[RuleEnd, NoQuery]) -> RuleHistory:
    """Let a rule end."""
    await publishing.end(call.path["code"], at=call.body.at, principal=call.staff, now=call.now)
    return RuleHistory(items=await _written(await queries.versions(call.path["code"])))


async def preview_earning(call: Call[TriedFact, NoQuery]) -> Judgement:
    """What a fact would earn by which rule, what would not fire and why."""
    card = await members.card_by_public_id(call.body.member, at=call.now)
    fact = trying.fact_of(
        call.body.trigger,
        card.id,
        occurred_at=call.body.occurred_at or call.now,
        amount_fen=call.body.amount_fen,
        tenders=call.body.tenders,
        lines=[FactLine(**{**line.model_dump(), "tags": frozenset(line.tags)}) for line in call.body.lines],
        store=call.body.store,
        channel=call.body.channel,
        values=call.body.values,
    )
    return judged(await trying.tried(fact, call.body.rule, now=call.now))


def judged(evaluation: Evaluation) -> Judgement:
    """An evaluation as it is shown."""
    return Judgement(
        totals={asset: evaluation.total(asset) for asset in sorted({award.asset for award in evaluation.awards})},
        awards=tuple(
            GivenAward(
                rule=one.rule_code,
                version=one.version,
                asset=one.asset,
                amount=one.amount,
                wanted=one.wanted,
                withheld=tuple(
                    {"amount": part.amount, "reason": part.reason, "scope": part.scope.value} for part in one.withheld
                ),
                per_line=one.per_line,
                explanation=one.explanation,
            )
            for one in evaluation.awards
        ),
        unfired=tuple(
            SilentRule(one.rule_code, one.version, one.asset, one.why.value, one.path, one.by, one.reason)
            for one in evaluation.unfired
        ),
    )


async def _one(view: RuleView) -> WrittenRule:
    return (await _written([view]))[0]


async def _written(views: Sequence[RuleView]) -> tuple[WrittenRule, ...]:
    budgets = await queries.budgets_left({name for view in views if (name := view.rule.budget_code) is not None})
    approvals = {view.id: await asking.approval_of(view) for view in views if view.status == "waiting"}
    return tuple(
        WrittenRule(
            code=view.code,
            version=view.version,
            status=view.status,
            rule_sha256=view.fingerprint,
            document=documents.document_of(view.rule),
            effective_from=view.effective_from,
            effective_until=view.effective_until,
            created_by=view.created_by,
            created_at=view.created_at,
            published_by=view.published_by,
            published_at=view.published_at,
            budget_used=budgets.get(view.rule.budget_code or "", (0, None))[1],
            approval=approvals.get(view.id),
        )
        for view in views
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/console/earning-rules",
        run=list_earning_rules,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_READ,
        result=WrittenRules,
        summary=Summary("全部积分规则", "All earning rules"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/earning-vocabulary",
        run=earning_vocabulary,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_READ,
        result=Vocabulary,
        summary=Summary("条件可用的字段与表单结构", "Fields of conditions, and the schemas of forms"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/earning-rules/{code}",
        run=earning_rule_history,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_READ,
        result=RuleHistory,
        refusals=(RuleUnknown,),
        summary=Summary("一条规则的全部版本", "Every version of a rule"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/earning-rules",
        run=draft_earning_rule,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_EDIT,
        body=RuleDocument,
        result=WrittenRule,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(RuleChanged, *UNWORKABLE),
        summary=Summary("写积分规则草稿", "Write a draft of an earning rule"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/earning-rules/{code}/publication",
        run=publish_earning_rule,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_EDIT,
        body=RulePublication,
        result=WrittenRule,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(RuleUnknown, RuleChanged, BudgetSpent, *UNWORKABLE),
        summary=Summary("发布积分规则", "Publish an earning rule"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/earning-rules/{code}/approval",
        run=approve_earning_rule,
        audience=Audience.CONSOLE,
        action=Action.TERMS_APPROVE,
        body=RulePublication,
        result=WrittenRule,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(RuleUnknown, RuleChanged, BudgetSpent, OwnRequest, *DECIDED, *UNWORKABLE),
        summary=Summary("审批并发布大额积分规则", "Approve and publish a large earning rule"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/earning-rules/{code}/end",
        run=end_earning_rule,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_EDIT,
        body=RuleEnd,
        result=RuleHistory,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(RuleUnknown, EndsTooEarly),
        summary=Summary("结束积分规则", "End an earning rule"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/earning-rules/preview",
        run=preview_earning,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_READ,
        body=TriedFact,
        result=Judgement,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(MemberGone, *UNWORKABLE),
        summary=Summary("试算：这次能得多少、为什么", "Try out what would be earned, and why"),
    ),
)
