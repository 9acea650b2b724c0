"""The audit of dependencies fails for a known vulnerability, and hides nothing that it could not look up."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
GOOD = {"name": "good", "version": "1.0", "vulns": []}
BAD = {"name": "bad", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "description": "x"}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


def audit(tmp_path: Path, *dependencies: dict[str, Any], said: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the audit with something in the place of pip-audit that has found this, or says something else."""
    stand_in = tmp_path / "stand_in.py"
    found = json.dumps({"dependencies": dependencies}) if dependencies else ""
    stand_in.write_text(f"import sys; print({found!r}); sys.exit({said!r} or 0)")
    command = [sys.executable, str(ROOT / ".ci" / "audit.py"), sys.executable, str(stand_in)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_not_known_to_be_bad_passes(tmp_path: Path) -> None:
    result = audit(tmp_path, GOOD)
    assert (result.returncode, result.stdout) == (0, "1 checked, 0 not checked, 0 vulnerable.\n")


def test_a_known_vulnerability_fails_and_says_what_mends_it(tmp_path: Path) -> None:
    result = audit(tmp_path, GOOD, BAD)
    assert result.returncode == 1
    assert "bad 2.0: PYSEC-1, fixed in 2.1" in result.stdout


def test_what_could_not_be_looked_up_is_listed(tmp_path: Path) -> None:
    result = audit(tmp_path, GOOD, UNKNOWN)
    assert result.returncode == 0
    assert "not checked: unknown (not found)" in result.stdout


def test_without_an_answer_everything_is_listed(tmp_path: Path) -> None:
    result = audit(tmp_path, said="Could not connect")
    assert result.returncode == 0
    locked = re.findall(r"^[\w.-]+==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert result.stdout.count("not checked: ") == len(locked)
    assert "Could not connect" in result.stdout
