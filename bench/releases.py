"""How long a release of 100 lists takes to be published and rolled back, next to one of a single list."""

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.environment import Environment
from bench.prices import prices
from bench.report import Figure, Report
from bench.servers import Server

LISTS = 100
COUNT = 1_000
"""Prices of each list."""

ROUNDS = 10
SENDERS = 4
"""Batches of a release that are sent at once."""

CREATE = """mutation($input: CreateReleaseInput!) {
  createRelease(input: $input) { release { id } userErrors { message } } }"""
BATCH = """mutation($input: PublishBatchInput!) {
  publishBatch(input: $input) { batch { state } userErrors { message } } }"""
PUBLISH = "mutation($input: PublishReleaseInput!) { publishRelease(input: $input) { userErrors { message } } }"
ROLL_BACK = "mutation($input: ReviewReleaseInput!) { rollbackRelease(input: $input) { userErrors { message } } }"
UNPIN = "mutation($input: UnpinInput!) { unpin(input: $input) { userErrors { message } } }"


def run(environment: Environment, report: Report) -> None:
    """Publish releases of 100 lists and of one, in turns, and roll each back."""
    names = [f"bench-release-{number}" for number in range(max(2, environment.repeats(LISTS)))]
    with environment.server() as server, ThreadPoolExecutor(SENDERS) as senders:
        releases = Releases(server, senders, environment.rows(COUNT))
        for name in names:
            server.create(name)
        releases.publish(names)  # otherwise there is no version to roll back to
        rounds = [(releases.run(names), releases.run(names[:1])) for _ in range(environment.repeats(ROUNDS))]
    for number, (what, target) in enumerate((("publish", 5.0), ("roll back", None))):
        many, one = (statistics.median(each[size][number] for each in rounds) for size in (0, 1))
        report.add(Figure("releases", f"{what} one list", 1000 * one, "ms"))
        report.add(Figure("releases", f"{what} {len(names)} lists", 1000 * many, "ms"))
        report.add(Figure("releases", f"{what}, ratio", many / one, "", target))


class Releases:
    """Publishes releases of new versions, and rolls them back."""

    def __init__(self, server: Server, senders: ThreadPoolExecutor, count: int) -> None:
        self._server = server
        self._senders = senders
        self._count = count
        self._number = 0

    def run(self, names: list[str]) -> tuple[float, float]:
        """Return the seconds to publish a release of lists, and to roll it back."""
        release, published = self.publish(names)
        rolled_back = self._timed(ROLL_BACK, release=release, reason="bench")
        list(self._senders.map(lambda name: self._post(UNPIN, priceList=name, reason="bench"), names))
        return published, rolled_back

    def publish(self, names: list[str]) -> tuple[str, float]:
        """Return the id of a new release of lists, and the seconds to publish it."""
        self._number += 1
        release = self._post(CREATE, name=f"{self._number}", idempotencyKey=f"{self._number}")["release"]["id"]
        rows = prices(self._count, version=self._number)

        def send(name: str) -> None:
            batch = {"priceList": name, "mode": "REPLACE", "prices": rows, "release": release}
            assert self._post(BATCH, **batch, idempotencyKey=release)["batch"]["state"] == "HELD"

        list(self._senders.map(send, names))
        return release, self._timed(PUBLISH, release=release)

    def _timed(self, document: str, **values: Any) -> float:
        started = time.perf_counter()
        self._post(document, **values)
        return time.perf_counter() - started

    def _post(self, document: str, **values: Any) -> dict[str, Any]:
        payload = self._server.post(json.dumps({"query": document, "variables": {"input": values}}).encode())
        assert not payload["userErrors"], payload
        return payload
