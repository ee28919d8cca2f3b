"""The condition language (条件): a small typed tree in JSON, one for earning rules, segments, journeys and reports.

A node is an object whose `op` says what it is. Leaves compare one field of the vocabulary with values, look at
the lines of a purchase, or at the calendar of the programme's zone; `all`, `any` and `not` combine them. What a
tree may mention where is said by `loyalty.conditions.checks`, what it means by `loyalty.conditions.rules`. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

VALUES_MAX: Final = 500
BRANCHES_MAX: Final = 50
WINDOW_DAYS_MAX: Final = 3660
NUMBER_MAX: Final = 10**15


def _one_complaint(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(value)
    except ValidationError:
        raise PydanticCustomError("scalar", "true, false, a whole number or a text of at most 80 characters") from None


FieldName = Annotated[str, Field(pattern=r"^[a-z_]+(\.[A-Za-z0-9_]{1,40}){1,2}$")]
Text = Annotated[str, Field(min_length=1, max_length=80)]
Number = Annotated[StrictInt, Field(ge=-NUMBER_MAX, le=NUMBER_MAX)]
Scalar = Annotated[StrictBool | Number | Text, WrapValidator(_one_complaint)]
Comparison = Literal["eq", "ne", "lt", "le", "gt", "ge"]
Window = Annotated[int, Field(ge=1, le=WINDOW_DAYS_MAX)]
ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
DayText = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class _Node(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Compare(_Node):
    """The field compared with one value. A value that is not known satisfies no comparison.

    `within_days` counts visits, spend and the like over the last so many times 24 hours only.
    """

    op: Comparison
    field: FieldName
    value: Scalar
    within_days: Window | None = None


class Between(_Node):
    """The field lies from `min` to `max`, both included."""

    op: Literal["between"] = "between"
    field: FieldName
    min: Scalar
    max: Scalar
    within_days: Window | None = None


class In(_Node):
    """The field is one of `values`."""

    op: Literal["in"] = "in"
    field: FieldName
    values: Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=VALUES_MAX)]


class Has(_Node):
    """A field that holds several texts (tags, tenders, stores) has one of `values`, or all of them."""

    op: Literal["has_any", "has_all"]
    field: FieldName
    values: Annotated[tuple[Text, ...], Field(min_length=1, max_length=VALUES_MAX)]


class Known(_Node):
    """The field has a value."""

    op: Literal["known"] = "known"
    field: FieldName


class StartsWith(_Node):
    """The text begins with `value`."""

    op: Literal["starts_with"] = "starts_with"
    field: FieldName
    value: Text


class Lines(_Node):
    """What is true of lines of the purchase. `every_line` asks for at least one; the cheapest and the dearest
    line are those of the lowest and highest amount, the first of equals."""

    op: Literal["any_line", "every_line", "none_line", "cheapest_line", "dearest_line"]
    where: "Condition"


class LineSum(_Node):
    """The sum of a number over the lines (of `where`, or all) compared with `value`."""

    op: Literal["line_sum"] = "line_sum"
    sum: Literal["line.amount", "line.quantity"] = "line.amount"
    where: "Condition | None" = None
    compare: Comparison
    value: Number


class LineCount(_Node):
    """How many lines there are (of `where`, or all) compared with `value`."""

    op: Literal["line_count"] = "line_count"
    where: "Condition | None" = None
    compare: Comparison
    value: Number


class Weekdays(_Node):
    """On one of these weekdays; 1 is Monday, 7 is Sunday."""

    op: Literal["weekdays"] = "weekdays"
    days: Annotated[tuple[Annotated[int, Field(ge=1, le=7)], ...], Field(min_length=1, max_length=7)]


class MonthDays(_Node):
    """On one of these days of the month (会员日)."""

    op: Literal["month_days"] = "month_days"
    days: Annotated[tuple[Annotated[int, Field(ge=1, le=31)], ...], Field(min_length=1, max_length=31)]


class Hours(_Node):
    """From `since` until, and not including, `until`; over midnight when `until` is the earlier one."""

    op: Literal["hours"] = "hours"
    since: ClockTime
    until: ClockTime


class Dates(_Node):
    """From the first moment of the day `since` until that of the day `until`."""

    op: Literal["dates"] = "dates"
    since: DayText | None = None
    until: DayText | None = None


class Anniversary(_Node):
    """Around the member's birthday or the day on which they joined: in its month, or from `before` days ahead of it
    to `after` days behind. 29 February is kept on the 28th in years that do not have it."""

    op: Literal["anniversary"] = "anniversary"
    of: Literal["birthday", "joining"] = "birthday"
    within: Literal["month", "days"] = "month"
    before: Annotated[int, Field(ge=0, le=60)] = 0
    after: Annotated[int, Field(ge=0, le=60)] = 0


class All(_Node):
    """Every one of `of`; nothing at all is always true."""

    op: Literal["all"] = "all"
    of: Annotated[tuple["Condition", ...], Field(max_length=BRANCHES_MAX)]


class AnyOf(_Node):
    """At least one of `of`."""

    op: Literal["any"] = "any"
    of: Annotated[tuple["Condition", ...], Field(min_length=1, max_length=BRANCHES_MAX)]


class Not(_Node):
    """`of` does not hold."""

    op: Literal["not"] = "not"
    of: "Condition"


Leaf: TypeAlias = (
    Compare
    | Between
    | In
    | Has
    | Known
    | StartsWith
    | Weekdays
    | MonthDays
    | Hours
    | Dates
    | Anniversary
    | LineSum
    | LineCount
    | Lines
)
Node: TypeAlias = Leaf | All | AnyOf | Not


def _at_plain_paths(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """Errors are located by the document's own path; pydantic would put the name of each union member between."""
    try:
        return handler(value)
    except ValidationError as broken:
        lines = [
            InitErrorDetails(
                type=PydanticCustomError(error["type"], error["msg"]),
                loc=error["loc"][1:],
                input=error["input"],
            )
            for error in broken.errors(include_url=False)
        ]
        raise ValidationError.from_exception_data(broken.title, lines) from None


Condition: TypeAlias = Annotated[Node, Field(discriminator="op"), WrapValidator(_at_plain_paths)]

for _kind in (Lines, LineSum, LineCount, All, AnyOf, Not):
    _kind.model_rebuild()

ADAPTER: Final[TypeAdapter[Node]] = TypeAdapter(Condition)
ALWAYS: Final = All(of=())


def document_of(condition: Node) -> dict[str, Any]:
    """The condition as its JSON document, without what is left at its default."""
    return condition.model_dump(mode="json", exclude_none=True)


def schema() -> dict[str, Any]:
    """The JSON Schema of a condition, for forms."""
    return ADAPTER.json_schema()


def walk(condition: Node, path: str = "") -> Iterator[tuple[str, int, Node]]:
    """Every node with its path in the document (``of.1.where``) and its depth, parents first."""
    yield from _walk(condition, path, 1)


def _walk(condition: Node, path: str, depth: int) -> Iterator[tuple[str, int, Node]]:
    yield path, depth, condition
    for step, child in children(condition):
        yield from _walk(child, joined(path, step), depth + 1)


def children(condition: Node) -> Iterator[tuple[str, Node]]:
    """The nodes right below, each with its step of the path."""
    match condition:
        case All() | AnyOf():
            yield from ((f"of.{place}", child) for place, child in enumerate(condition.of))
        case Not():
            yield "of", condition.of
        case Lines() | LineSum() | LineCount() if condition.where is not None:
            yield "where", condition.where


def joined(path: str, step: str) -> str:
    """The path of a child."""
    return f"{path}.{step}" if path else step


Document = Mapping[str, Any]
