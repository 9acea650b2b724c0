"""A server that receives arbitrary requests, and the checks that must pass afterwards."""

import asyncio
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from storage import Store
from tests.graph.identity.keys import AUDIENCE, ISSUER, Signer, write_keys
from tests.stack.servers import Server, servers
from tests.stack.transports import Answer, Transports

REQUESTS = int(os.environ.get("PRICEBOOK_TEST_FUZZ_REQUESTS", "100"))
"""Approximate number of requests: about 5 times as many are sent. `make fuzz` sends more than 10,000."""

MAX_GROWTH_BYTES = 160 << 20
"""Allowed memory growth of the server: two caches of 32 MiB, documents with their plans, and allocator overhead."""

MAX_MESSAGE_BYTES = 128 << 10
"""Size of a WebSocket message above which the server closes the socket."""

TOO_LARGE = 1009
"""The code with which the server closes a socket after a message that is too large."""

ATTEMPTS = 3
"""Number of attempts to get the same answers.

Work in the background may change an answer between two requests, and a caller may be over a rate: pauses grow.
"""

TOKEN_SECONDS = 7200
"""Validity of the token of the clients: longer than `make fuzz` takes."""

LISTS = ("retail", "uploads", "bystander")

TRUSTED = {"names": "query Names { priceLists { nodes { name } } }"}
"""The trusted documents of the server, by id."""


@dataclass
class Target:
    """The server and its clients."""

    transports: Transports
    server: Server
    token: str

    @property
    def requests(self) -> int:
        """The number of requests sent."""
        return self.transports.requests.total()

    def send(self, **request: Any) -> httpx.Response:
        """Send a request; it must not time out, nor cause a server error."""
        self.transports.requests["http"] += 1
        response = self.transports.http.post("/graphql", **request)
        assert response.status_code < 500, response.text
        for error in response.json().get("errors", []):
            assert error["extensions"]["code"] != "INTERNAL", response.text
        return response

    def ask(self, request: Any) -> Answer:
        """Send a query, or a mutation that may be repeated, by each transport; return the answer if it is the same.

        Instead of an answer a WebSocket may be closed, if the message is too large.
        """
        for attempt in range(ATTEMPTS):
            time.sleep(attempt)
            by_json = self.transports.ask_by_json(request)
            by_events = self.transports.ask_by_events(request)
            by_websocket = self.transports.ask_by_websocket(request)
            if by_websocket.closed == TOO_LARGE and len(json.dumps(request)) > MAX_MESSAGE_BYTES:
                by_websocket = by_json
            if by_json == by_events == by_websocket and "RATE_LIMITED" not in by_json.codes:
                assert "INTERNAL" not in by_json.codes, request
                return by_json
        raise AssertionError(f"{request!r:.3000}\n{by_json!r:.1000}\n{by_events!r:.1000}\n{by_websocket!r:.1000}")

    def first_event(self, request: Any) -> Answer:
        """Send a subscription by each transport that has them, and return its first event, if it is the same."""
        by_events = self.transports.ask_by_events(request, is_subscription=True)
        by_websocket = self.transports.ask_by_websocket(request, is_subscription=True)
        assert by_events == by_websocket, request
        assert self.transports.ask_by_json(request).data is None
        return by_events

    def data(self, query: str) -> Any:
        """Return the data of a response, which must have no errors."""
        answer = self.transports.ask_by_json({"query": query})
        assert not answer.codes, answer
        return answer.data


@pytest.fixture(scope="module")
def target(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with three lists; no test writes to `bystander`."""
    database, folder, signer = f"test_{secrets.token_hex(6)}", tmp_path_factory.mktemp("fuzz"), Signer("one")
    (folder / "documents.json").write_text(json.dumps(TRUSTED))
    environ = {
        "PRICEBOOK_MONGODB_URI": mongodb_uri,
        "PRICEBOOK_MONGODB_DATABASE": database,
        "PRICEBOOK_JWT_KEYS": str(write_keys(folder / "keys.json", signer)),
        "PRICEBOOK_JWT_ISSUER": ISSUER,
        "PRICEBOOK_JWT_AUDIENCE": AUDIENCE,
        "PRICEBOOK_TRUSTED_DOCUMENTS": str(folder / "documents.json"),
        "PRICEBOOK_INTROSPECTION": "false",
        "PRICEBOOK_MAX_RATE": "0",
        "PRICEBOOK_CACHE_BYTES": "32MiB",
        "PRICEBOOK_RESPONSE_CACHE_BYTES": "32MiB",
        "PRICEBOOK_LOG_FORMAT": "human",
    }
    token = signer.token("admin", exp=int(time.time()) + TOKEN_SECONDS)
    with servers(folder, 1, environ) as [server], Transports(server.url, token) as transports:
        target = Target(transports, server, token)
        for name in LISTS:
            target.data(f'mutation {{ createPriceList(input: {{name: "{name}"}}) {{ userErrors {{ code }} }} }}')
            target.data(_publish(name))
        pointer = _pointer(mongodb_uri, database)
        before = server.resident_bytes
        yield target
        assert target.data('{ snapshot(priceList: "bystander") { version } }') == {"snapshot": {"version": 1}}
        assert _pointer(mongodb_uri, database) == pointer
        growth = server.resident_bytes - before
        assert growth < MAX_GROWTH_BYTES, f"{growth >> 20} MiB after {target.requests} requests"
        summary = f"{target.requests} requests {dict(transports.requests)}, memory grew by {growth >> 20} MiB"
        (folder / "summary").write_text(summary)
        print(summary)  # noqa: T201 - shown by `make fuzz`
        assert "Traceback" not in server.log.read_text()
    assert asyncio.run(_findings(mongodb_uri, database)) == []
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database)
        client.drop_database(f"{database}_layers")


def _publish(name: str) -> str:
    prices = ", ".join(f'{{sku: "{letter}", amount: "1.5", currency: "EUR"}}' for letter in "abc")
    return f"""mutation {{ publishBatch(input: {{
      priceList: "{name}", mode: REPLACE, idempotencyKey: "first", prices: [{prices}]
    }}) {{ batch {{ state }} userErrors {{ code }} }} }}"""


def _pointer(uri: str, database: str) -> dict[str, Any] | None:
    with MongoClient[dict[str, Any]](uri) as client:
        return client[database]["price_lists"].find_one({"_id": "bystander"})


async def _findings(uri: str, database: str) -> list[Any]:
    async with Store.open_existing(uri, database) as store:
        return [finding async for finding in store.integrity_check().run() if finding.code != "LAYER_ORPHANED"]
