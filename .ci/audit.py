"""Look up known vulnerabilities of the packages in requirements.lock, with pip-audit.

Fails if there is one. Packages that cannot be checked, because pip-audit or the network fails, are listed and do not
fail the audit: a machine may have no network. The last line then has their number, or that nothing was checked.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"
PIP_AUDIT = [sys.executable, "-m", "pip_audit"]
OPTIONS = ["--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
TIMEOUT_SECONDS = 300


def main(command: list[str]) -> int:
    """Run pip-audit, print its findings and return the exit code."""
    found, reason = run_audit(command)
    if found is None:
        names = re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
        found = [{"name": name, "skip_reason": f"{version}: {reason}"} for name, version in names]
    vulnerable = [each for each in found if each.get("vulns")]
    unchecked = [each for each in found if "skip_reason" in each]
    for each in vulnerable:
        for vulnerability in each["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
            sys.stdout.write(f"{each['name']} {each['version']}: {vulnerability['id']}, fixed in {fixed}\n")
    for each in unchecked:
        sys.stdout.write(f"not checked: {each['name']} ({each['skip_reason']})\n")
    sys.stdout.write(summary(len(found), len(unchecked), len(vulnerable)) + "\n")
    return 1 if vulnerable else 0


def summary(found: int, unchecked: int, vulnerable: int) -> str:
    """Return the last line of the output, from the numbers of packages."""
    if unchecked == found:
        return f"NOTHING WAS CHECKED: none of {found} packages could be looked up. This is not a pass: run it again."
    incomplete = f"INCOMPLETE: {unchecked} of {found} packages were not checked. " if unchecked else ""
    return f"{incomplete}{found - unchecked} checked, {unchecked} not checked, {vulnerable} vulnerable."


def run_audit(command: list[str]) -> tuple[list[dict[str, Any]] | None, str]:
    """Return the result for each dependency, or None and the reason if pip-audit fails."""
    try:
        run = subprocess.run(  # noqa: S603 - only tests pass another command
            [*command, "--requirement", str(LOCK), *OPTIONS],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        found: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, type(error).__name__
    except (ValueError, KeyError, TypeError):
        found = []
    if not found:
        return None, (run.stderr.strip().splitlines() or ["no report"])[-1][:200]
    return found, ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or PIP_AUDIT))
