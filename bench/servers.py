"""Pricebook servers for a run: as `pricebook serve` starts them, or with a meter (`bench.meter`)."""

import json
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import httpx

from bench.processes import Process

DATABASE = "bench"
BASELINE_DATABASE = f"{DATABASE}_baseline"
"""Database of the servers of another revision, which may store documents in another format."""

_METERED = (sys.executable, "-m", "bench.run_app", "bench.meter:app")
_SERVE = (sys.executable, "-c", "from cli import main; main()", "serve", "--fd")


class Server(Process):
    """A Pricebook server process. `settings` are set in its environment, as `PRICEBOOK_...`.

    Its code is that of the source tree `tree`, or of this one.
    """

    def __init__(
        self,
        mongodb_uri: str,
        log: Path,
        settings: Mapping[str, int | str],
        *,
        metered: bool,
        tree: Path | None = None,
        cores: Collection[int] = (),
    ) -> None:
        environment = {
            "PRICEBOOK_MONGODB_URI": mongodb_uri,
            "PRICEBOOK_MONGODB_DATABASE": DATABASE,
            "PRICEBOOK_ANONYMOUS": "admin",
            "PRICEBOOK_MAX_RATE": "0",
            **{f"PRICEBOOK_{name.upper()}": str(value) for name, value in settings.items()},
        }
        super().__init__(_METERED if metered else _SERVE, log, environment, "/readyz", tree, cores)
        self._client = httpx.Client(timeout=600)

    def __exit__(self, *raised: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._client.close()
        super().__exit__(*raised)

    def post(self, body: bytes) -> dict[str, Any]:
        """Send a request, and return the payload of its only field, empty if it is null.

        Raises `AssertionError` for errors.
        """
        return _payload(self.send(body))

    def send(self, body: bytes) -> httpx.Response:
        """Send a request, and return the response."""
        return self._client.post(self.url, content=body, headers={"content-type": "application/json"})

    def upload(self, operations: dict[str, Any], name: str, content: bytes | IO[bytes]) -> dict[str, Any]:
        """Send a request with a file, and return the payload of its only field."""
        form = {"operations": json.dumps(operations), "map": '{"0": ["variables.input.file"]}'}
        return _payload(self._client.post(self.url, data=form, files={"0": (name, content)}))

    def create(self, price_list: str) -> None:
        query = "mutation($name: ID!) { createPriceList(input: {name: $name}) { userErrors { code message } } }"
        self.post(json.dumps({"query": query, "variables": {"name": price_list}}).encode())

    def longest_block(self) -> float:
        """Return the longest time that the event loop of a metered server was blocked since the last call, in seconds.

        The first call starts the measurement, which costs CPU.
        """
        return float(self._get("/longest-block")["seconds"])

    def commands(self) -> Counter[str]:
        """Return the number of commands that a metered server has sent to MongoDB, by collection or else by name."""
        return Counter(self._get("/commands"))

    def _get(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = self._client.get(self.address + path).raise_for_status().json()
        return document


def _payload(response: httpx.Response) -> dict[str, Any]:
    document = response.raise_for_status().json()
    if "errors" in document:
        raise AssertionError(document["errors"])
    payload: dict[str, Any] = next(iter(document["data"].values())) or {}
    if payload.get("userErrors"):
        raise AssertionError(payload["userErrors"])
    return payload
