"""The dashboard, the alerts and the manual name only metrics, labels and values that a running server exports."""

import re
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from graph.telemetry.exporter import EXPORT_INTERVAL_SECONDS
from storage import PricebookError
from tests.acceptance.command import running
from tests.helm.metrics_in_use import DASHBOARD, PANELS, RULES, expressions, find_metrics, variable_queries
from tests.waiting import DEADLINE_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")

MANUAL = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")

SCRAPE_LABELS = {"job", "instance"}
"""Labels that Prometheus adds to everything that it scrapes."""

Exported = dict[str, dict[str, set[str]]]
"""Samples by name, each with its labels and their values."""

EXERCISE = """
mutation {
  createPriceList(input: {name: "retail"}) { userErrors { code } }
  first: publishBatch(input: {priceList: "retail", mode: REPLACE, idempotencyKey: "1",
                              prices: [{sku: "a", amount: "1.00", currency: "EUR"}]}) { batch { state } }
  bad: publishBatch(input: {priceList: "retail", mode: MERGE, idempotencyKey: "2",
                            prices: [{sku: "a", amount: "-1", currency: "EUR"}]}) { batch { state } }
  pin(input: {priceList: "retail", version: 1, reason: "held"}) { userErrors { code } }
  held: publishBatch(input: {priceList: "retail", mode: MERGE, idempotencyKey: "3",
                             prices: [{sku: "b", amount: "1.00", currency: "EUR"}]}) { batch { state } }
}"""
QUERY = '{ snapshot(priceList: "retail") { price(sku: "a") { amount } } }'
FOLLOW = 'subscription { batchProgress(id: "none") { state } }'


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """The metrics of a server with two workers, after requests that produce every metric."""
    settings = {"PRICEBOOK_PORT": "0", "PRICEBOOK_WORKERS": "2", "PRICEBOOK_METRICS_PORT": "0"}
    with running(tmp_path_factory.mktemp("metrics"), "serve", **settings) as run:
        for _ in range(2):
            run.read_until("Application startup complete.")
        metrics, url = (re.search(rf"{name} on (\S+)", run.output) for name in ("Metrics", "Listening"))
        assert metrics is not None
        assert url is not None

        def post(query: str, **headers: str) -> httpx.Response:
            return httpx.post(url[1], json={"query": query}, headers=headers, timeout=60, trust_env=False)

        data = post(EXERCISE).json()["data"]
        assert [data[name]["batch"]["state"] for name in ("first", "bad", "held")] == ["PUBLISHED", "FAILED", "HELD"]
        post(FOLLOW, accept="text/event-stream")
        post(QUERY)
        post("{ unknown }")
        yield wait_for_all_metrics(lambda: scrape(metrics[1]))
        assert run.stop(signal.SIGTERM) == 0, run.output


def wait_for_all_metrics(read: Callable[[], Exported]) -> Exported:
    """Return all metrics once every process has exported those of the last request, or what there is at the deadline.

    The metrics in memory are exported every second, and those from the database every 10, in no order.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_complete(found := read()):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.2)
    time.sleep(2 * EXPORT_INTERVAL_SECONDS)  # a scrape reads one file after the other, while they are written
    return read()


def is_complete(exported: Exported) -> bool:
    of_last_request = exported.get("pricebook_requests_total", {}).get("code", set())
    return "GRAPHQL_VALIDATION_FAILED" in of_last_request and documented().keys() <= families(exported).keys()


def scrape(address: str) -> Exported:
    found: Exported = {}
    text = httpx.get(address, trust_env=False).raise_for_status().text
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            labels = found.setdefault(each.name, defaultdict(set))
            for name, value in each.labels.items():
                labels[name].add(value)
    return found


def codes(error: type[PricebookError] = PricebookError) -> set[str]:
    """Return the codes of an error class and its subclasses; the code of the base class means an unexpected error."""
    return {error.code}.union(*(codes(each) for each in error.__subclasses__()))


@pytest.mark.parametrize(("owner", "expression"), [pytest.param(*each, id=each[0]) for each in expressions()])
def test_an_expression_reads_only_exported_metrics(exported: Exported, owner: str, expression: str) -> None:
    for each in find_metrics(expression):
        assert each.name in exported, f"{owner}: {each.name} is not exported"
        labels = exported[each.name]
        assert each.labels - SCRAPE_LABELS <= set(labels), f"{owner}: {each.name} has only {set(labels)}"
        for name, value in each.values:
            known = labels[name] | (codes() if name == "code" else set())
            assert value in known, f"{owner}: {name} of {each.name} is never {value}"


def test_a_dashboard_variable_lists_the_values_of_an_exported_label(exported: Exported) -> None:
    for selector, label in variable_queries():
        [each] = find_metrics(selector)
        assert each.name in exported
        assert {label, *each.labels} - SCRAPE_LABELS <= set(exported[each.name])


def test_an_unknown_metric_is_found(exported: Exported) -> None:
    [known, unknown] = find_metrics("sum by (price_list) (rate(pricebook_batches_total[5m])) / pricebook_no_such_thing")
    assert known.name in exported
    assert known.labels == {"price_list"}
    assert unknown.name not in exported
    with pytest.raises(AssertionError, match="drops"):
        find_metrics("sum by (mode) (sum by (price_list) (pricebook_batches_total))")
    with pytest.raises(ValueError, match="unclosed"):
        find_metrics("sum(rate(")


def test_the_manual_lists_exactly_the_exported_metrics(exported: Exported) -> None:
    assert documented() == families(exported)


def documented() -> dict[str, set[str]]:
    """Return the metrics of the manual with their labels."""
    rows = re.findall(r"^\| `(pricebook_\w+)` \| (.*?) \|", MANUAL, re.MULTILINE)
    listed = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert len(listed) == len(rows), "each metric is listed once"
    return listed


def families(exported: Exported) -> dict[str, set[str]]:
    """Return the labels of each metric; the samples of a histogram count as one metric."""
    found: dict[str, set[str]] = {}
    for name, labels in exported.items():
        histogram = re.sub(r"_(bucket|sum|count)$", "", name)
        found.setdefault(histogram, set()).update(set(labels) - {"le"})
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_describes_itself_and_links_to_the_manual(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    assert {"summary", "description", "runbook_url"} <= set(notes)
    assert rule["labels"]["severity"] in {"warning", "critical"}
    file, _, anchor = notes["runbook_url"].partition("#")
    assert file == "docs/monitoring.md"
    assert anchor in {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", MANUAL, re.MULTILINE)}
    known = {label for each in find_metrics(rule["expr"]) for label in each.labels} | SCRAPE_LABELS
    assert set(re.findall(r"\$labels\.(\w+)", f"{notes['summary']} {notes['description']}")) <= known


def test_every_panel_has_its_own_position_and_valid_legends() -> None:
    assert DASHBOARD["title"] == "Pricebook"
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    positions = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(positions)) == len(positions)
    for panel in PANELS:
        for target in panel["targets"]:
            uses = find_metrics(target["expr"].replace("$__rate_interval", "5m"))
            labels = {label for each in uses for label in each.labels}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels | SCRAPE_LABELS, panel["title"]
            assert target["datasource"]["uid"] == "${datasource}"
