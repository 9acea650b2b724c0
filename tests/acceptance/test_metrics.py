"""`/metrics` as Prometheus meets it: one port, whatever the number of processes behind it."""

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


def test_all_workers_are_told_as_one_and_those_that_died_take_no_memory(tmp_path: Path) -> None:
    settings = {"PRICEBOOK_PORT": "0", "PRICEBOOK_WORKERS": "2", "PRICEBOOK_METRICS_PORT": "0"}
    with running(tmp_path, "serve", **settings) as run:
        for _ in range(2):
            run.listen_until("Application startup complete.")
        metrics, url = (re.search(rf"{what} on (\S+)", run.said) for what in ("Metrics", "Listening"))
        assert metrics is not None
        assert url is not None
        answer = httpx.post(url[1], json={"query": PUBLISH}, timeout=60, trust_env=False).json()
        assert answer["data"]["publishBatch"]["batch"]["state"] == "PUBLISHED"

        def told(name: str) -> float:
            httpx.post(url[1], json={"query": QUERY}, trust_env=False)  # a connection of its own, to either worker
            return total(metrics[1], name, cache="responses")

        wait_for(lambda: told("pricebook_cache_bytes"))
        hits = wait_for(lambda: told("pricebook_cache_hits_total"))
        for pid in re.findall(r"Started server process \[(\d+)\]", run.said):
            os.kill(int(pid), signal.SIGKILL)
        wait_for(lambda: total(metrics[1], "pricebook_cache_bytes", cache="responses") == 0)
        assert total(metrics[1], "pricebook_cache_hits_total", cache="responses") >= hits, (
            "what it counted stays counted"
        )
        assert run.stop(signal.SIGTERM) == 0, run.said


def test_a_single_worker_tells_what_it_counts(tmp_path: Path) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", PRICEBOOK_METRICS_PORT="0") as run:
        run.listen_until("Application startup complete.")
        metrics = re.search(r"Metrics on (\S+)", run.said)
        assert metrics is not None
        wait_for(lambda: total(metrics[1], "pricebook_workers") == 1)
        assert run.stop(signal.SIGTERM) == 0, run.said


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", PRICEBOOK_METRICS_PORT="0") as run:
        run.listen_until("Metrics on")
        found = re.search(r"Metrics on http://127.0.0.1:(\d+)/metrics", run.said)
        assert found is not None
        with running(tmp_path / "other", "serve", PRICEBOOK_PORT="0", PRICEBOOK_METRICS_PORT=found[1]) as other:
            assert other.wait() == 2
            assert f"Cannot listen on port {found[1]} of 127.0.0.1 for metrics" in other.said
            assert "PRICEBOOK_METRICS_PORT" in other.said


def wait_for(probe: Callable[[], float]) -> float:
    """What a probe finds, once that is not nothing."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := probe()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found
