"""The PromQL of the dashboard and the alerts, and the metrics that each expression reads."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from promql_parser import AggModifierType, AggregateExpr, MatrixSelector, VectorSelector

HELM = Path(__file__).parents[2] / "helm" / "pricebook"
DASHBOARD: dict[str, Any] = json.loads((HELM / "dashboards" / "pricebook.json").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((HELM / "alerts" / "pricebook.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


@dataclass(frozen=True)
class MetricUse:
    """A sample that an expression reads: its name, and the labels and label values that it must have."""

    name: str
    labels: frozenset[str]
    values: frozenset[tuple[str, str]]


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression, with the name of its alert or panel."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def variable_queries() -> Iterator[tuple[str, str]]:
    """Yield the queries of the dashboard's variables: the selector, and the label whose values it lists."""
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            assert query, variable
            yield query[1], query[2]


def find_metrics(expression: str) -> list[MetricUse]:
    """Return the samples that an expression reads. Raises `ValueError` for invalid PromQL."""
    return list(_walk(promql_parser.parse(expression), frozenset()))


def _walk(expression: Any, grouped: frozenset[str]) -> Iterator[MetricUse]:
    """Yield the selectors; each must have the labels that the aggregations around it group by."""
    if isinstance(expression, MatrixSelector):
        expression = expression.vector_selector
    if isinstance(expression, VectorSelector):
        matchers = list(expression.matchers.matchers)
        values = {(each.name, value) for each in matchers for value in each.value.split("|")}
        plain = {(name, value) for name, value in values if re.fullmatch(r"[\w ]+", value)}
        assert expression.name, "every selector names its metric"
        yield MetricUse(expression.name, grouped | {each.name for each in matchers}, frozenset(plain))
        return
    if isinstance(expression, AggregateExpr) and expression.modifier:
        assert expression.modifier.type == AggModifierType.By, "aggregations use `by`, not `without`"
        kept = frozenset(expression.modifier.labels)
        assert grouped <= kept, f"{expression.prettify()} drops {set(grouped - kept)}"
        grouped = kept
    for name in ("expr", "lhs", "rhs", "args"):
        child = getattr(expression, name, None)
        for each in child if isinstance(child, list) else [child] if child is not None else []:
            yield from _walk(each, grouped)
