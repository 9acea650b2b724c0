"""Look up known vulnerabilities of what requirements.lock names, with pip-audit.

Fails where there is one. What could not be looked up, for want of a network or of an answer, is listed, and does not
fail: it is not known to be bad.
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
DEADLINE_SECONDS = 300


def main(command: list[str]) -> int:
    """Run pip-audit and tell what it found; return the exit code."""
    found, why = audited(command)
    if found is None:
        names = re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
        found = [{"name": name, "skip_reason": f"{version}: {why}"} for name, version in names]
    bad = [each for each in found if each.get("vulns")]
    unknown = [each for each in found if "skip_reason" in each]
    for each in bad:
        for vulnerability in each["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
            sys.stdout.write(f"{each['name']} {each['version']}: {vulnerability['id']}, fixed in {fixed}\n")
    for each in unknown:
        sys.stdout.write(f"not checked: {each['name']} ({each['skip_reason']})\n")
    sys.stdout.write(f"{len(found) - len(unknown)} checked, {len(unknown)} not checked, {len(bad)} vulnerable.\n")
    return 1 if bad else 0


def audited(command: list[str]) -> tuple[list[dict[str, Any]] | None, str]:
    """Return what pip-audit says of each dependency; None where it came to nothing, and why."""
    try:
        run = subprocess.run(  # noqa: S603 - the command is ours
            [*command, "--requirement", str(LOCK), *OPTIONS],
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        found: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, type(error).__name__
    except (ValueError, KeyError):
        return None, (run.stderr.strip().splitlines() or ["no answer"])[-1][:200]
    return found, ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or PIP_AUDIT))
