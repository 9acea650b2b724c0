"""`make chart` tells what it checked, and ends with an error where something is wrong."""

import re
from pathlib import Path

import pytest

from helm import check, tools

DEV = check.CHART / "values-dev.yaml"


def test_what_was_checked_is_told(
    helm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "VALUES", (DEV,))
    monkeypatch.setattr(check, "VARIANTS", {"everything": check.EVERYTHING})
    assert check.main() == 0
    told = capsys.readouterr().out
    assert f"helm {tools.version(helm)}, " in told
    assert "values-dev.yaml: helm lint --strict passed" in told
    assert re.search(r"values-dev.yaml, everything: \d+ manifests, \d+ by schema", told)
    assert "no schema for HTTPRoute, PrometheusRule, ServiceMonitor" in told


def test_a_file_that_is_refused_is_an_error(
    helm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values-bad.yaml"
    file.write_text("replicas: three\n")
    monkeypatch.setattr(check, "VALUES", (file,))
    assert check.main() == 1
    assert "at '/replicas': got string, want integer" in capsys.readouterr().err


def test_helm_is_installed_where_it_is_missing_and_only_there(helm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    installed: list[Path] = []
    monkeypatch.setattr(tools, "_install", installed.append)
    assert tools.helm(told.append) == helm
    assert not installed
    monkeypatch.setattr(tools, "BIN", Path("/nowhere"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("sys.platform", "linux")
    tools.helm(told.append)
    assert installed == [Path("/nowhere/helm")]
    assert told == ["Installing helm v4.1.4 at /nowhere/helm ..."]


def test_where_helm_cannot_be_installed_it_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "BIN", Path("/nowhere"))
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(tools.ToolError, match="put it at /nowhere/helm yourself"):
        tools.helm()
