"""The PromQL of the dashboard and the alerts, and what each expression asks of the metrics."""

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
class Asked:
    """A sample that an expression reads: its name, the labels that it must have, and values that these must know."""

    name: str
    labels: frozenset[str]
    values: frozenset[tuple[str, str]]


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression, with the place where it stands."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def variables() -> Iterator[tuple[str, str]]:
    """The queries of the dashboard's variables: the selector, and the label whose values are wanted."""
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            assert found, variable
            yield found[1], found[2]


def asked(expression: str) -> list[Asked]:
    """What an expression reads. Raises `ValueError` for one that is no PromQL."""
    return list(_asked(promql_parser.parse(expression), frozenset()))


def _asked(expression: Any, grouped: frozenset[str]) -> Iterator[Asked]:
    """Walk down to the selectors; what is grouped by on the way is asked of all of them."""
    if isinstance(expression, MatrixSelector):
        expression = expression.vector_selector
    if isinstance(expression, VectorSelector):
        matchers = list(expression.matchers.matchers)
        values = {(each.name, value) for each in matchers for value in each.value.split("|")}
        plain = {(name, value) for name, value in values if re.fullmatch(r"[\w ]+", value)}
        assert expression.name, "a metric is named"
        yield Asked(expression.name, grouped | {each.name for each in matchers}, frozenset(plain))
        return
    if isinstance(expression, AggregateExpr) and expression.modifier:
        assert expression.modifier.type == AggModifierType.By, "labels are named, not left out"
        kept = frozenset(expression.modifier.labels)
        assert grouped <= kept, f"{expression.prettify()} leaves no {set(grouped - kept)}"
        grouped = kept
    for name in ("expr", "lhs", "rhs", "args"):
        child = getattr(expression, name, None)
        for each in child if isinstance(child, list) else [child] if child is not None else []:
            yield from _asked(each, grouped)
