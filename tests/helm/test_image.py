"""The image that the chart runs. The tests check the Dockerfile without building it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.helm.rendered import Release, container

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
BUILD, FINAL = re.split(r"(?=^FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]
HADOLINT = Path(sys.executable).parent / "hadolint"


def hadolint(text: str) -> str:
    """Return the findings of hadolint in a Dockerfile; empty if there are none."""
    return subprocess.run([HADOLINT, "-"], input=text, capture_output=True, text=True, check=False).stdout


def test_hadolint_finds_nothing() -> None:
    assert hadolint(DOCKERFILE) == ""


def test_hadolint_finds_an_unpinned_package() -> None:
    assert "DL3013" in hadolint(DOCKERFILE.replace("uv==0.13.9", "uv"))


def test_both_stages_are_built_from_one_image_that_can_be_pinned() -> None:
    [default] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert default == "python:3.13-slim-bookworm"
    assert DOCKERFILE.index("ARG PYTHON_IMAGE") < DOCKERFILE.index("FROM "), "a digest applies to both stages"
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["$PYTHON_IMAGE", "$PYTHON_IMAGE"]


def test_the_final_stage_runs_as_an_unprivileged_user() -> None:
    assert FINAL.index("USER 10001:10001") < FINAL.index("ENTRYPOINT")
    assert "--uid 10001 " in FINAL
    assert "pip" not in FINAL, "build tools stay in the first stage"


def test_every_install_is_constrained_by_the_lock() -> None:
    commands = re.findall(r"uv pip install ((?:.*\\\n)*.*)", BUILD)
    assert len(commands) == 2
    dependencies, package = commands
    assert "--require-hashes" in dependencies
    assert "--constraint requirements.lock" in dependencies
    assert "--no-deps" in package
    assert "--build-constraint requirements.lock" in package


def test_the_build_context_is_exactly_what_the_package_needs() -> None:
    included = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", BUILD, re.MULTILINE) for name in line.split()}
    assert copied == set(included)
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {*packages, project["project"]["readme"], *project["project"]["license-files"]} < copied


@pytest.mark.parametrize("instruction", ["ENTRYPOINT", "CMD", "EXPOSE", "USER"])
def test_the_chart_matches_the_image(helm: Path, instruction: str) -> None:
    release = Release(helm, {"console": {"enabled": True}})
    deployment = release.one("Deployment")
    console = container(release.one("Deployment", "prices-pricebook-console"))
    server, pod = container(deployment), deployment["spec"]["template"]["spec"]
    [actual] = re.findall(rf"^{instruction} (.+)$", FINAL, re.MULTILINE)
    ports = " ".join(str(port) for port in sorted(each["containerPort"] for each in server["ports"] + console["ports"]))
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    expected = {"ENTRYPOINT": '["pricebook"]', "CMD": f'["{server["args"][0]}"]', "EXPOSE": ports, "USER": user}
    assert actual == expected[instruction]
    assert not {"command"} & (server.keys() | console.keys())


def test_the_image_has_the_dependencies_of_the_console() -> None:
    assert "--extra console" in BUILD
