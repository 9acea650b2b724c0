"""`make chart` reports its checks, and fails if a check fails."""

import re
from pathlib import Path

import pytest

from helm import check, tools

DEV = check.CHART / "values-dev.yaml"


def test_every_check_is_reported(
    helm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "VALUES", (DEV,))
    monkeypatch.setattr(check, "VARIANTS", {"everything": check.EVERYTHING})
    assert check.main() == 0
    output = capsys.readouterr().out
    assert f"helm {tools.version(helm)}, " in output
    assert "values-dev.yaml: helm lint --strict passed" in output
    assert re.search(r"values-dev.yaml, everything: \d+ manifests, \d+ by schema", output)
    assert "no schema for HTTPRoute, PrometheusRule, ServiceMonitor" in output


def test_an_invalid_values_file_is_an_error(
    helm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values-bad.yaml"
    file.write_text("replicas: three\n")
    monkeypatch.setattr(check, "VALUES", (file,))
    assert check.main() == 1
    assert "at '/replicas': got string, want integer" in capsys.readouterr().err


def test_helm_is_installed_only_if_it_is_missing(helm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[str] = []
    installed: list[Path] = []
    monkeypatch.setattr(tools, "_install", installed.append)
    assert tools.helm(messages.append) == helm
    assert not installed
    monkeypatch.setattr(tools, "BIN", Path("/nowhere"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("sys.platform", "linux")
    tools.helm(messages.append)
    assert installed == [Path("/nowhere/helm")]
    assert messages == ["Installing helm v4.1.4 at /nowhere/helm ..."]


def test_without_a_binary_for_the_platform_the_error_names_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "BIN", Path("/nowhere"))
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(tools.ToolError, match="put it at /nowhere/helm yourself"):
        tools.helm()
