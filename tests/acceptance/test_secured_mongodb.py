"""A MongoDB with TLS and a password: the URI configures both, and the password is never shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.command import running
from tests.storage.secured import ROOT, Secured, certificates, secured

PASSWORD = ROOT[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured")) as server:
        yield server


def test_a_server_runs_on_a_secured_mongodb(server: Secured, tmp_path: Path) -> None:
    uri = server.uri(*ROOT)
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", PRICEBOOK_MONGODB_URI=uri, PRICEBOOK_LOG_LEVEL="debug") as run:
        run.read_until("Application startup complete")
    assert run.process.returncode == 0
    assert PASSWORD not in run.output
    assert "p%40ss" not in run.output


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("password", "Authentication failed"),
        ("authority", "certificate verify failed"),
        ("tls", "MongoDB does not answer"),
    ],
)
def test_errors_are_shown_without_the_password(server: Secured, tmp_path: Path, problem: str, message: str) -> None:
    uri = {
        "password": server.uri(ROOT[0], "hunter2"),
        "authority": server.uri(*ROOT, tlsCAFile=str(certificates(tmp_path)[0])),
        "tls": server.uri(*ROOT, tls="false").replace(f"&tlsCAFile={server.authority}", ""),
    }[problem]
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", PRICEBOOK_MONGODB_URI=uri) as run:
        assert run.wait() == 3
    assert message in run.output
    assert all(secret not in run.output for secret in (PASSWORD, "p%40ss", "hunter2"))
