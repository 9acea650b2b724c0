"""Fixtures: a server in memory, a file of prices, and the command against that server."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from cli.client import client
from cli.imports import command, importer
from tests.cli.imports.batch_server import BatchServer

Run = Callable[..., Result]


@pytest.fixture
def server() -> BatchServer:
    return BatchServer()


@pytest.fixture
def prices(tmp_path: Path) -> str:
    """A file of ten prices."""
    file = tmp_path / "prices.ndjson"
    file.write_text("".join(f'{{"sku": "S{number}"}}\n' for number in range(10)))
    return str(file)


@pytest.fixture
def run(server: BatchServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command with `--list eu --part-rows 2` and further arguments against the server, without delays."""

    def connect(_endpoint: str, token: str | None, _connections: int) -> httpx.AsyncClient:
        server.token = token
        return httpx.AsyncClient(transport=httpx.MockTransport(server))

    monkeypatch.setattr(client, "open_http", connect)
    monkeypatch.setattr(client, "FIRST_DELAY_SECONDS", 0)
    monkeypatch.setattr(importer, "FIRST_POLL_INTERVAL_SECONDS", 0)
    monkeypatch.delenv("PRICEBOOK_ENDPOINT", raising=False)

    def run(*arguments: str, stdin: bytes | None = None, **environ: str) -> Result:
        common = ["--list", "eu", "--part-rows", "2"]
        result = CliRunner().invoke(command.import_, [*common, *arguments], input=stdin, env=environ)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
