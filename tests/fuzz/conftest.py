"""A server that is sent anything at all, and what has to hold of it afterwards."""

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
"""About so many requests are sent, half as many again in all; `make fuzz` sends more than 10,000."""

HANG_SECONDS = 30.0

GROWTH = 160 << 20
"""So many bytes the server may grow: two caches of 32 MiB, documents with their plans, and the allocator's slack."""

LISTS = ("retail", "uploads", "bystander")


@dataclass
class Target:
    """The server, and how often it was asked."""

    http: httpx.Client
    process: Path
    requests: int = 0

    def memory(self) -> int:
        """The server's resident memory, in bytes."""
        return int((self.process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def send(self, **request: Any) -> httpx.Response:
        """Send a request, which must be answered in time and by no error of the server."""
        self.requests += 1
        answer = self.http.post("/graphql", **request)
        assert answer.status_code < 500, answer.text
        for error in answer.json().get("errors", []):
            assert error["extensions"]["code"] != "INTERNAL", answer.text
        return answer

    def data(self, query: str) -> Any:
        """The data of an answer that must be without errors."""
        body = self.send(json={"query": query}).json()
        assert "errors" not in body, body
        return body["data"]


@pytest.fixture(scope="module")
def target(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with three lists; nobody sends anything to `bystander`."""
    database, log = f"test_{secrets.token_hex(6)}", tmp_path_factory.mktemp("fuzz") / "server.log"
    caches = {"PRICEBOOK_CACHE_BYTES": "32MiB", "PRICEBOOK_RESPONSE_CACHE_BYTES": "32MiB"}
    with (
        server(mongodb_uri, database, log, **caches) as url,
        httpx.Client(base_url=url, timeout=HANG_SECONDS, trust_env=False) as http,
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
        grown = target.memory() - before
        assert grown < GROWTH, f"{grown >> 20} MiB after {target.requests} requests"
        told = f"{target.requests} requests, {grown >> 20} MiB grown"
        log.with_suffix(".told").write_text(told)
        print(told)  # noqa: T201 - for who runs `make fuzz`
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
        assert time.monotonic() < deadline, "It is not ready."
        time.sleep(0.05)


def _process_of(database: str) -> Path:
    """The server in /proc, by the environment that it was started with."""
    mark = f"PRICEBOOK_MONGODB_DATABASE={database}\0".encode()
    [environ] = [each for each in Path("/proc").glob("[0-9]*/environ") if mark in content(each)]
    return environ.parent


def _pointer(uri: str, database: str) -> dict[str, Any] | None:
    with MongoClient[dict[str, Any]](uri) as client:
        return client[database]["price_lists"].find_one({"_id": "bystander"})


async def _findings(uri: str, database: str) -> list[Any]:
    async with Store.open_existing(uri, database) as store:
        return [finding async for finding in store.integrity_check().run() if finding.code != "LAYER_ORPHANED"]
