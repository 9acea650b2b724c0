"""The audits of the npm package `graphql-http`, by the authors of the GraphQL-over-HTTP specification."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_two_servers import servers, urls
from tests.graph.api import Client
from tests.stack import npm

__all__ = ["servers", "urls"]

PACKAGE = Path(__file__).with_name("graphql_http")

AUDITS = 60
"""Number of audits in the version that package.json names."""


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the audits, installed."""
    folder = tmp_path_factory.mktemp("audits") / "graphql_http"
    npm.install(PACKAGE, folder)
    return folder


async def test_every_audit_passes(audits: Path, servers: list[Client]) -> None:
    url = f"{servers[0].http.base_url}/graphql"
    done = await asyncio.to_thread(npm.run, "node", "audit.js", url, cwd=audits)
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == AUDITS
