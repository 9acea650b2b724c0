"""The dashboard, the alerts and the manual name what a running server exports: metrics, labels, values; no others."""

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

from storage import PricebookError
from tests.acceptance.command import running
from tests.helm.metrics_in_use import DASHBOARD, PANELS, RULES, asked, expressions, variables
from tests.waiting import DEADLINE_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")

MANUAL = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")

# What Prometheus adds itself to all that it scrapes.
OF_PROMETHEUS = {"job", "instance"}

Exported = dict[str, dict[str, set[str]]]
"""Samples, each with its labels and the values that they were seen to have."""

USE = """
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
    """What a server of two workers tells when everything that it has was used once."""
    settings = {"PRICEBOOK_PORT": "0", "PRICEBOOK_WORKERS": "2", "PRICEBOOK_METRICS_PORT": "0"}
    with running(tmp_path_factory.mktemp("metrics"), "serve", **settings) as run:
        for _ in range(2):
            run.read_until("Application startup complete.")
        metrics, url = (re.search(rf"{what} on (\S+)", run.output) for what in ("Metrics", "Listening"))
        assert metrics is not None
        assert url is not None

        def post(query: str, **headers: str) -> httpx.Response:
            return httpx.post(url[1], json={"query": query}, headers=headers, timeout=60, trust_env=False)

        data = post(USE).json()["data"]
        assert [data[name]["batch"]["state"] for name in ("first", "bad", "held")] == ["PUBLISHED", "FAILED", "HELD"]
        post(FOLLOW, accept="text/event-stream")
        post(QUERY)
        post("{ unknown }")
        yield until_all_is_told(lambda: scraped(metrics[1]))
        assert run.stop(signal.SIGTERM) == 0, run.output


def until_all_is_told(scrape: Callable[[], Exported]) -> Exported:
    """What is exported when what is told last is: what was held in the database."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "retail" not in (found := scrape()).get("pricebook_batches_held", {}).get("price_list", ()):
        assert time.monotonic() < deadline, sorted(found)
        time.sleep(0.2)
    return found


def scraped(address: str) -> Exported:
    found: Exported = {}
    text = httpx.get(address, trust_env=False).raise_for_status().text
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            labels = found.setdefault(each.name, defaultdict(set))
            for name, value in each.labels.items():
                labels[name].add(value)
    return found


def codes(error: type[PricebookError] = PricebookError) -> set[str]:
    """The stable codes of all errors of storage, and the one for what nobody foresaw."""
    return {error.code}.union(*(codes(each) for each in error.__subclasses__()))


@pytest.mark.parametrize(("place", "expression"), [pytest.param(*each, id=each[0]) for each in expressions()])
def test_an_expression_reads_what_is_exported(exported: Exported, place: str, expression: str) -> None:
    for each in asked(expression):
        assert each.name in exported, f"{place}: nobody exports {each.name}"
        labels = exported[each.name]
        assert each.labels - OF_PROMETHEUS <= set(labels), f"{place}: {each.name} has only {set(labels)}"
        for name, value in each.values:
            known = labels[name] | (codes() if name == "code" else set())
            assert value in known, f"{place}: {name} of {each.name} is never {value}"


def test_a_variable_of_the_dashboard_takes_the_values_of_a_label_that_is_exported(exported: Exported) -> None:
    for selector, label in variables():
        [each] = asked(selector)
        assert each.name in exported
        assert {label, *each.labels} - OF_PROMETHEUS <= set(exported[each.name])


def test_a_name_that_nobody_exports_would_be_found(exported: Exported) -> None:
    [one, other] = asked("sum by (price_list) (rate(pricebook_batches_total[5m])) / pricebook_no_such_thing")
    assert one.name in exported
    assert one.labels == {"price_list"}
    assert other.name not in exported
    with pytest.raises(AssertionError, match="leaves no"):
        asked("sum by (mode) (sum by (price_list) (pricebook_batches_total))")
    with pytest.raises(ValueError, match="unclosed"):
        asked("sum(rate(")


def test_the_table_of_the_manual_is_what_is_exported(exported: Exported) -> None:
    rows = re.findall(r"^\| `(pricebook_\w+)` \| (.*?) \|", MANUAL, re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert len(told) == len(rows), "each stands there once"
    assert told == families(exported)


def families(exported: Exported) -> dict[str, set[str]]:
    """The metrics and their labels, those of a histogram as one."""
    found: dict[str, set[str]] = {}
    for name, labels in exported.items():
        histogram = re.sub(r"_(bucket|sum|count)$", "", name)
        found.setdefault(histogram, set()).update(set(labels) - {"le"})
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_to_do_and_where_the_manual_says_more(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    assert {"summary", "description", "runbook_url"} <= set(notes)
    assert rule["labels"]["severity"] in {"warning", "critical"}
    file, _, anchor = notes["runbook_url"].partition("#")
    assert file == "docs/monitoring.md"
    assert anchor in {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", MANUAL, re.MULTILINE)}
    known = {label for each in asked(rule["expr"]) for label in each.labels} | OF_PROMETHEUS
    assert set(re.findall(r"\$labels\.(\w+)", f"{notes['summary']} {notes['description']}")) <= known


def test_every_panel_has_a_place_of_its_own_and_legends_of_labels_that_are_left() -> None:
    assert DASHBOARD["title"] == "Pricebook"
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    for panel in PANELS:
        for target in panel["targets"]:
            left = {label for each in asked(target["expr"].replace("$__rate_interval", "5m")) for label in each.labels}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= left | OF_PROMETHEUS, panel["title"]
            assert target["datasource"]["uid"] == "${datasource}"
