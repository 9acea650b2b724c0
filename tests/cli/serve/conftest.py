"""A server whose sweep runs at every tick, so that small timeouts can be tested."""

from collections.abc import Iterator

import pytest

from cli.serve import graceful_server
from tests.cli.serve.application import RunningServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    monkeypatch.setattr(graceful_server, "SWEEP_INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr(graceful_server, "LAST_REQUEST_GRACE_SECONDS", 0.0)
    with serving() as running:
        yield running
