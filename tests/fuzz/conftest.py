"""A server that receives arbitrary requests, and the checks that must pass afterwards."""

import asyncio
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from storage import Store
from tests.acceptance.command import content
from tests.acceptance.test_two_servers import server
from tests.waiting import DEADLINE_SECONDS

REQUESTS = int(os.environ.get("PRICEBOOK_TEST_FUZZ_REQUESTS", "400"))
"""Approximate number of requests: about 1.5 times as many are sent. `make fuzz` sends more than 10,000."""

REQUEST_TIMEOUT_SECONDS = 30.0

MAX_GROWTH_BYTES = 160 << 20
"""Allowed memory growth of the server: two caches of 32 MiB, documents with their plans, and allocator overhead."""

LISTS = ("retail", "uploads", "bystander")


@dataclass
class Target:
    """The server, and the number of requests sent to it."""

    http: httpx.Client
    process: Path
    requests: int = 0

    def memory(self) -> int:
        """Return the resident memory of the server, in bytes."""
        return int((self.process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def send(self, **request: Any) -> httpx.Response:
        """Send a request; it must not time out, nor cause a server error."""
        self.requests += 1
        response = self.http.post("/graphql", **request)
        assert response.status_code < 500, response.text
        for error in response.json().get("errors", []):
            assert error["extensions"]["code"] != "INTERNAL", response.text
        return response

    def data(self, query: str) -> Any:
        """Return the data of a response, which must have no errors."""
        body = self.send(json={"query": query}).json()
        assert "errors" not in body, body
        return body["data"]


@pytest.fixture(scope="module")
def target(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with three lists; no test writes to `bystander`."""
    database, log = f"test_{secrets.token_hex(6)}", tmp_path_factory.mktemp("fuzz") / "server.log"
    caches = {"PRICEBOOK_CACHE_BYTES": "32MiB", "PRICEBOOK_RESPONSE_CACHE_BYTES": "32MiB"}
    with (
        server(mongodb_uri, database, log, **caches) as url,
        httpx.Client(base_url=url, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False) as http,
    ):
        _wait_until_ready(http)
        target = Target(http, _process_of(database))
        for name in LISTS:
            target.data(f'mutation {{ createPriceList(input: {{name: "{name}"}}) {{ userErrors {{ code }} }} }}')
            target.data(_publish(name))
        pointer = _pointer(mongodb_uri, database)
        before = target.memory()
        yield target
        assert target.data('{ snapshot(priceList: "bystander") { version } }') == {"snapshot": {"version": 1}}
        assert _pointer(mongodb_uri, database) == pointer
        growth = target.memory() - before
        assert growth < MAX_GROWTH_BYTES, f"{growth >> 20} MiB after {target.requests} requests"
        summary = f"{target.requests} requests, memory grew by {growth >> 20} MiB"
        log.with_suffix(".summary").write_text(summary)
        print(summary)  # noqa: T201 - shown by `make fuzz`
        assert "Traceback" not in log.read_text()
    assert asyncio.run(_findings(mongodb_uri, database)) == []
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database)


def _publish(name: str) -> str:
    prices = ", ".join(f'{{sku: "{letter}", amount: "1.5", currency: "EUR"}}' for letter in "abc")
    return f"""mutation {{ publishBatch(input: {{
      priceList: "{name}", mode: REPLACE, idempotencyKey: "first", prices: [{prices}]
    }}) {{ batch {{ state }} userErrors {{ code }} }} }}"""


def _wait_until_ready(http: httpx.Client) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            if http.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "The server is not ready."
        time.sleep(0.05)


def _process_of(database: str) -> Path:
    """Return the server's folder in /proc, found by its environment."""
    variable = f"PRICEBOOK_MONGODB_DATABASE={database}\0".encode()
    [environ] = [each for each in Path("/proc").glob("[0-9]*/environ") if variable in content(each)]
    return environ.parent


def _pointer(uri: str, database: str) -> dict[str, Any] | None:
    with MongoClient[dict[str, Any]](uri) as client:
        return client[database]["price_lists"].find_one({"_id": "bystander"})


async def _findings(uri: str, database: str) -> list[Any]:
    async with Store.open_existing(uri, database) as store:
        return [finding async for finding in store.integrity_check().run() if finding.code != "LAYER_ORPHANED"]
