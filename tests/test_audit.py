"""The audit of dependencies fails on a known vulnerability, and lists every dependency that it could not check."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
GOOD = {"name": "good", "version": "1.0", "vulns": []}
BAD = {"name": "bad", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "description": "x"}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


def audit(
    tmp_path: Path, *dependencies: dict[str, Any], error: str = "", report: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run the audit with a fake pip-audit that reports these dependencies, prints `report` or fails with `error`."""
    fake = tmp_path / "fake.py"
    report = json.dumps({"dependencies": dependencies}) if dependencies else report
    fake.write_text(f"import sys; print({report!r}); sys.exit({error!r} or 0)")
    command = [sys.executable, str(ROOT / ".ci" / "audit.py"), sys.executable, str(fake)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_dependencies_without_known_vulnerabilities_pass(tmp_path: Path) -> None:
    result = audit(tmp_path, GOOD)
    assert (result.returncode, result.stdout) == (0, "1 checked, 0 not checked, 0 vulnerable.\n")


def test_a_known_vulnerability_fails_and_names_the_fixed_version(tmp_path: Path) -> None:
    result = audit(tmp_path, GOOD, BAD)
    assert result.returncode == 1
    assert "bad 2.0: PYSEC-1, fixed in 2.1" in result.stdout


def test_a_dependency_that_could_not_be_checked_is_listed(tmp_path: Path) -> None:
    result = audit(tmp_path, GOOD, UNKNOWN)
    assert result.returncode == 0
    assert "not checked: unknown (not found)" in result.stdout


def test_an_incomplete_audit_ends_with_the_number_of_unchecked_dependencies(tmp_path: Path) -> None:
    last = audit(tmp_path, GOOD, UNKNOWN, GOOD).stdout.splitlines()[-1]
    assert last == "INCOMPLETE: 1 of 3 packages were not checked. 2 checked, 1 not checked, 0 vulnerable."
    last = audit(tmp_path, BAD, UNKNOWN).stdout.splitlines()[-1]
    assert last == "INCOMPLETE: 1 of 2 packages were not checked. 1 checked, 1 not checked, 1 vulnerable."


@pytest.mark.parametrize("dependencies", [(UNKNOWN,), (UNKNOWN, UNKNOWN)])
def test_an_audit_that_checked_nothing_does_not_read_as_a_pass(
    tmp_path: Path, dependencies: tuple[dict[str, Any], ...]
) -> None:
    last = audit(tmp_path, *dependencies).stdout.splitlines()[-1]
    assert last.startswith(f"NOTHING WAS CHECKED: none of {len(dependencies)} packages could be looked up.")
    assert "not a pass" in last
    assert "vulnerable" not in last


def test_every_dependency_is_listed_if_pip_audit_fails(tmp_path: Path) -> None:
    result = audit(tmp_path, error="Could not connect")
    assert result.returncode == 0
    locked = re.findall(r"^[\w.-]+==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert result.stdout.count("not checked: ") == len(locked)
    assert "Could not connect" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last.startswith(f"NOTHING WAS CHECKED: none of {len(locked)} packages could be looked up.")


@pytest.mark.parametrize("report", ["[]", "null", '{"dependencies": null}', '{"dependencies": []}', "no JSON"])
def test_a_malformed_report_does_not_read_as_a_pass(tmp_path: Path, report: str) -> None:
    result = audit(tmp_path, report=report)
    assert result.stdout.splitlines()[-1].startswith("NOTHING WAS CHECKED")
    assert result.stderr == ""
