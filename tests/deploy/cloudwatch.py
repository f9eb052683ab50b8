"""CloudWatch, as far as the alarms use it: statistics, some metric math, and missing data.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html and, for
FILL and IF, https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from ftq.text import Json
from tests.deploy.watched import Document, Watched, document, listed, of_alarm

State: TypeAlias = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Series: TypeAlias = dict[int, float]
# How many more periods than it evaluates CloudWatch looks back, as its own examples have it.
MORE: Final = 2
_STATISTICS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "Average": lambda values: sum(values) / len(values),
}
_COMPARES: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
}


@dataclass(slots=True)
class Store:
    """What was published. Moments are seconds."""

    _points: defaultdict[tuple[str, str, frozenset[tuple[str, str]]], list[tuple[int, float]]] = (
        field(default_factory=lambda: defaultdict(list))
    )

    def put(
        self,
        namespace: str,
        name: str,
        dimensions: Iterable[tuple[str, str]],
        at: int,
        value: float,
    ) -> None:
        self._points[namespace, name, frozenset(dimensions)].append((at, value))

    def read(self, asked: Watched, period: int, starts: Iterable[int]) -> Series:
        wanted: dict[int, list[float]] = {start: [] for start in starts}
        for at, value in self._points[asked.namespace, asked.name, frozenset(asked.dimensions)]:
            if (start := at - at % period) in wanted:
                wanted[start].append(value)
        return {at: _STATISTICS[asked.statistic](found) for at, found in wanted.items() if found}


def state_of(
    values: Sequence[float | None],
    breaches: Callable[[float], bool],
    needed: int,
    of: int,
    missing: str,
    before: State,
) -> State:
    """The state by the values of the evaluation range, oldest first; None is missing."""
    there = [breaches(value) for value in values if value is not None][-of:]
    bad, absent = sum(there), of - len(there)
    match missing:
        case "breaching":
            return "ALARM" if bad + absent >= needed else "OK"
        case "notBreaching":
            return "ALARM" if bad >= needed else "OK"
        case "ignore":
            if bad >= needed:
                return "ALARM"
            return "OK" if not all(there) else before
        case _:
            if not there:
                return "INSUFFICIENT_DATA"
            if bad >= needed or not all(there):
                return "ALARM" if bad >= needed else "OK"
            # Too few, and all of them bad: whether the oldest has been so for long enough.
            oldest = next(n for n, value in enumerate(values) if value is not None)
            return "ALARM" if len(values) - oldest >= needed else before


def evaluate(
    alarm: Document, store: Store, now: int, before: State, late: Mapping[str, int]
) -> State:
    """The state of an alarm at a moment.

    Args:
        alarm: Its properties.
        store: What was published.
        now: The moment.
        before: Its state until then.
        late: By namespace, how many seconds after its period a value can be read.
    """
    period = _period(alarm)
    of = int(str(alarm["EvaluationPeriods"]))
    last = now - now % period - period
    starts = range(last - (of + MORE - 1) * period, last + 1, period)
    series = {
        name: store.read(
            asked,
            period,
            [at for at in starts if at + period + late.get(asked.namespace, 0) <= now],
        )
        for name, asked in of_alarm(alarm).items()
    }
    result = compute(_expression(alarm), series, starts) if "Metrics" in alarm else series[""]
    threshold = float(str(alarm["Threshold"]))
    compare = _COMPARES[str(alarm["ComparisonOperator"])]
    return state_of(
        [result.get(at) for at in starts],
        lambda value: compare(value, threshold),
        int(str(alarm.get("DatapointsToAlarm", of))),
        of,
        str(alarm.get("TreatMissingData", "missing")),
        before,
    )


def history(
    alarm: Document, store: Store, first: int, last: int, late: Mapping[str, int]
) -> list[tuple[int, State]]:
    """Each change of an alarm's state, looked at every minute."""
    state: State = "INSUFFICIENT_DATA"
    found: list[tuple[int, State]] = []
    for now in range(first, last + 1, 60):
        state, before = evaluate(alarm, store, now, state, late), state
        if state != before:
            found.append((now, state))
    return found


def _period(alarm: Document) -> int:
    if "Metrics" not in alarm:
        return int(str(alarm["Period"]))
    stats = [
        document(each["MetricStat"])
        for each in map(document, listed(alarm["Metrics"]))
        if "MetricStat" in each
    ]
    (period,) = {int(str(each["Period"])) for each in stats}
    return period


def _expression(alarm: Document) -> str:
    (text,) = [
        str(each["Expression"])
        for each in map(document, listed(alarm["Metrics"]))
        if each["ReturnData"]
    ]
    return text


# --- metric math ---------------------------------------------------------------------------------

_OPERATORS: Final[Mapping[type[ast.AST], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
}


def _filled(series: Series, how: ast.expr, at: int) -> float | None:
    match how:
        case ast.Constant(int() | float() as number):
            return series.get(at, float(number))
        case ast.Name("REPEAT"):
            return next((series[each] for each in sorted(series, reverse=True) if each <= at), None)
    raise AssertionError(f"FILL knows no {ast.unparse(how)}")


def compute(text: str, series: Mapping[str, Series], starts: Sequence[int]) -> Series:
    """An expression over series. What is missing in one operand is missing in the result."""

    def value(node: ast.expr, at: int) -> float | None:
        match node:
            case ast.Constant(int() | float() as number):
                return float(number)
            case ast.Name(name):
                return series[name].get(at)
            case ast.BinOp(left, how, right) | ast.Compare(left, [how], [right]):
                return both(left, type(how), right, at)
            case ast.Call(ast.Name("IF"), [condition, then, otherwise]):
                met = value(condition, at)
                return None if met is None else value(then if met else otherwise, at)
            case ast.Call(
                ast.Name("FILL"), [ast.Name(name), ast.Constant(int() | float() as other)]
            ):
                return series[name].get(at, float(other))
            case ast.Call(ast.Name("FILL"), [ast.Name(name), how]):
                return _filled(series[name], how, at)
        raise AssertionError(f"not among the metric math that is known here: {ast.unparse(node)}")

    def both(left: ast.expr, how: type[ast.AST], right: ast.expr, at: int) -> float | None:
        one, two = value(left, at), value(right, at)
        if one is None or two is None or (how is ast.Div and not two):
            return None
        return float(_OPERATORS[how](one, two))

    tree = ast.parse(text, mode="eval").body
    found = {at: value(tree, at) for at in starts}
    return {at: each for at, each in found.items() if each is not None}


def numbers(value: Json) -> list[float | None]:
    """Values of an evaluation range as CloudWatch's tables write them: 0, X and -."""
    return [{"0": 0.0, "X": 1.0, "-": None}[each] for each in str(value).split()]
