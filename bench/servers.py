"""A server process of its own for a run, as `pricebook serve` starts it, with a meter of how long its loop was held."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx

DATABASE = "bench"


class Server:
    """A server process on a port that the system chose."""

    def __init__(self, mongodb_uri: str, log: Path) -> None:
        self.mongodb_uri = mongodb_uri
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(timeout=600)
        self.port = 0

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as listener, self._log.open("wb") as log:
            self.port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "uvicorn", "--factory", "bench.held:app", "--log-level", "warning"),
                    *("--fd", str(listener.fileno()), "--loop", "uvloop", "--http", "httptools"),
                ],
                env={
                    **os.environ,
                    "PRICEBOOK_MONGODB_URI": self.mongodb_uri,
                    "PRICEBOOK_MONGODB_DATABASE": DATABASE,
                },
                pass_fds=(listener.fileno(),),
                stdout=log,
                stderr=log,
            )
        # The socket listens already, so the first request waits until the server has started.
        httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=60).raise_for_status()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._client.close()
        if self._process:
            self._process.terminate()
            self._process.wait(30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    def post(self, body: bytes) -> dict[str, Any]:
        """Send a request and return the payload of its one field; anything but success is an error."""
        answer = self._client.post(self.url, content=body, headers={"content-type": "application/json"})
        return _payload(answer)

    def upload(self, operations: dict[str, Any], name: str, content: bytes | IO[bytes]) -> dict[str, Any]:
        """Send a request with a file, and return the payload of its one field."""
        form = {"operations": json.dumps(operations), "map": '{"0": ["variables.input.file"]}'}
        return _payload(self._client.post(self.url, data=form, files={"0": (name, content)}))

    def create(self, price_list: str) -> None:
        query = "mutation($name: ID!) { createPriceList(input: {name: $name}) { userErrors { code message } } }"
        self.post(json.dumps({"query": query, "variables": {"name": price_list}}).encode())

    def longest_hold(self) -> float:
        """Return for how many seconds the server's event loop was held at the longest, since the last call."""
        return float(self._client.get(f"http://127.0.0.1:{self.port}/held").json()["seconds"])

    def cpu_seconds(self) -> float:
        stat = (self._proc / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def forget_peak_memory(self) -> None:
        """Begin to look for the peak of the resident memory anew."""
        (self._proc / "clear_refs").write_text("5", encoding="ascii")

    def peak_memory(self) -> int:
        """Return the peak of the resident memory since `forget_peak_memory`, in bytes."""
        status = (self._proc / "status").read_text(encoding="ascii")
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))

    @property
    def _proc(self) -> Path:
        if self._process is None:
            raise AssertionError("The server is not running.")
        return Path(f"/proc/{self._process.pid}")


def _payload(answer: httpx.Response) -> dict[str, Any]:
    document = answer.raise_for_status().json()
    if "errors" in document:
        raise AssertionError(document["errors"])
    payload: dict[str, Any] = next(iter(document["data"].values()))
    if payload.get("userErrors"):
        raise AssertionError(payload["userErrors"])
    return payload
