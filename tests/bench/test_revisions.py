"""The code of another revision: exported without a trace in the repository, and run by the servers that need it."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

import httpx
import pytest

from bench import __main__ as bench
from bench import auth_overhead
from bench.environment import Environment
from bench.processes import Process
from bench.report import Report
from bench.revisions import Revision, RevisionError, export
from bench.servers import BASELINE_DATABASE, DATABASE

SERVER = """
import http.server, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"REVISION")
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[-1]))
server.serve_forever()
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of two commits, each of them with a server that responds with its name."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for revision in ("first", "second"):
        (folder / "example_server.py").write_text(SERVER.replace("REVISION", revision))
        git(folder, "add", ".")
        git(folder, "-c", "user.name=x", "-c", "user.email=x@example", "commit", "--quiet", "--message", revision)
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout


def test_an_exported_revision_leaves_no_trace_in_the_repository(repository: Path, tmp_path: Path) -> None:
    revision = export("HEAD~1", tmp_path / "code", repository)
    assert revision.name == "HEAD~1"
    assert "first" in (revision.tree / "example_server.py").read_text()
    assert git(repository, "worktree", "list").count("\n") == 1
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["missing", "--output=x", "HEAD:example_server.py"])
def test_a_name_that_is_no_revision_is_an_error(repository: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(RevisionError, match=name):
        export(name, tmp_path / "code", repository)
    assert not (tmp_path / "code").exists()


def test_a_server_runs_the_code_of_its_folder(repository: Path, tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import example_server")
    for name, response in (("HEAD~1", "first"), ("HEAD", "second")):
        tree = export(name, tmp_path / name, repository).tree
        with Process(command, tmp_path / "log", {}, "/", tree) as server:
            assert httpx.get(server.address).text == response


class FakeServer(AbstractContextManager["FakeServer"]):
    """A server of a source tree that stores nothing."""

    def __init__(self, settings: Mapping[str, object], tree: Path | None) -> None:
        self.settings = settings
        self.tree = tree

    def __exit__(self, *_: object) -> None:
        pass

    def create(self, price_list: str) -> None:
        pass

    def post(self, body: bytes) -> None:
        pass


class FakeEnvironment:
    """Servers of this tree and of a baseline."""

    baseline = Revision("v1", Path("/v1"))

    def rows(self, count: int) -> int:
        return count

    def repeats(self, count: int) -> int:
        return count

    def server(self, settings: Mapping[str, object], *, tree: Path | None = None) -> FakeServer:
        return FakeServer(settings, tree)


def test_the_rounds_of_both_revisions_are_interleaved(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[str] = []

    def measure(_environment: object, server: FakeServer, _requests: object, key: str | None) -> float:
        rounds.append("before" if server.tree else "after" if key else "open")
        assert key == (f"key of {server.tree}" if "max_rate" in server.settings else None)
        assert server.settings.get("mongodb_database", DATABASE) == (BASELINE_DATABASE if server.tree else DATABASE)
        return {"open": 50.0, "after": 54.0, "before": 51.0}[rounds[-1]]

    monkeypatch.setattr(auth_overhead, "_cost", measure)
    monkeypatch.setattr(auth_overhead, "_create_key", lambda _environment, _database, tree=None: f"key of {tree}")
    report = Report("a machine")
    auth_overhead.run(cast("Environment", FakeEnvironment()), report)
    assert rounds[:9] == ["open", "after", "before", "before", "after", "open", "open", "after", "before"]
    figures = {each.what: each for each in report.figures}
    assert figures["point, response cached, guarded at v1: CPU per request"].value == 51
    assert figures["point, response cached: guarded / open"].verdict == "met"
    compared = figures["point, response cached: guarded / guarded at v1"]
    assert (compared.value, compared.target, compared.verdict) == (54 / 51, "<= 1.05", "MISSED")
    assert figures["point, records cached: guarded / guarded at v1"].target == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["batches", "--against", "HEAD"], "only guards, reads, startup compare"),
        (["guards", "--against", "missing"], "missing"),
        (["gards"], "unknown benchmark: gards"),
        (["--scale", "0"], "not above 0"),
        (["--scale", "1.5"], "at most 1"),
    ],
)
def test_wrong_arguments_end_before_anything_is_started(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "EmbeddedReplicaSet", None)
    with pytest.raises(SystemExit) as exit_:
        bench.main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
