"""`/metrics` as Prometheus scrapes it: one port, regardless of the number of processes."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.command import running
from tests.waiting import DEADLINE_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

PUBLISH = """
mutation {
  createPriceList(input: {name: "retail"}) { userErrors { code } }
  publishBatch(input: {priceList: "retail", mode: REPLACE, idempotencyKey: "1",
                       prices: [{sku: "a", amount: "1.00", currency: "EUR"}]}) { batch { state } }
}"""
QUERY = '{ snapshot(priceList: "retail") { price(sku: "a") { amount } } }'


def total(address: str, name: str, **labels: str) -> float:
    text = httpx.get(address, trust_env=False).raise_for_status().text
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


def test_metrics_add_up_all_workers_and_dead_ones_use_no_memory(tmp_path: Path) -> None:
    settings = {"PRICEBOOK_PORT": "0", "PRICEBOOK_WORKERS": "2", "PRICEBOOK_METRICS_PORT": "0"}
    with running(tmp_path, "serve", **settings) as run:
        for _ in range(2):
            run.read_until("Application startup complete.")
        metrics, url = (re.search(rf"{name} on (\S+)", run.output) for name in ("Metrics", "Listening"))
        assert metrics is not None
        assert url is not None
        response = httpx.post(url[1], json={"query": PUBLISH}, timeout=60, trust_env=False).json()
        assert response["data"]["publishBatch"]["batch"]["state"] == "PUBLISHED"

        def after_request(name: str) -> float:
            httpx.post(url[1], json={"query": QUERY}, trust_env=False)  # a new connection, to either worker
            return total(metrics[1], name, cache="responses")

        wait_for(lambda: after_request("pricebook_cache_bytes"))
        hits = wait_for(lambda: after_request("pricebook_cache_hits_total"))
        for pid in re.findall(r"Started server process \[(\d+)\]", run.output):
            os.kill(int(pid), signal.SIGKILL)
        wait_for(lambda: total(metrics[1], "pricebook_cache_bytes", cache="responses") == 0)
        assert total(metrics[1], "pricebook_cache_hits_total", cache="responses") >= hits, (
            "counters keep the counts of dead workers"
        )
        assert run.stop(signal.SIGTERM) == 0, run.output


def test_a_single_worker_has_metrics(tmp_path: Path) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", PRICEBOOK_METRICS_PORT="0") as run:
        run.read_until("Application startup complete.")
        metrics = re.search(r"Metrics on (\S+)", run.output)
        assert metrics is not None
        wait_for(lambda: total(metrics[1], "pricebook_workers") == 1)
        assert run.stop(signal.SIGTERM) == 0, run.output


def test_a_metrics_port_in_use_is_an_error(tmp_path: Path) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", PRICEBOOK_METRICS_PORT="0") as run:
        run.read_until("Metrics on")
        match = re.search(r"Metrics on http://127.0.0.1:(\d+)/metrics", run.output)
        assert match is not None
        with running(tmp_path / "other", "serve", PRICEBOOK_PORT="0", PRICEBOOK_METRICS_PORT=match[1]) as other:
            assert other.wait() == 2
            assert f"Cannot listen on port {match[1]} of 127.0.0.1 for metrics" in other.output
            assert "PRICEBOOK_METRICS_PORT" in other.output


def wait_for(probe: Callable[[], float]) -> float:
    """Repeat a probe until its value is not zero; return the value."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := probe()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return value
