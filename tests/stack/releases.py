"""The code of the last release, from the newest tag of a release (CONTRIBUTING.md, "Releases")."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.stack.servers import ROOT


def last_release(folder: Path) -> Path:
    """Extract the last release into a folder and return it; skip the test if no release is tagged."""
    revision = _git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
    if not revision:
        pytest.skip("No release is tagged.")
    archive = subprocess.run(["git", "-C", ROOT, "archive", revision.decode().strip()], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as code:
        code.extractall(folder, filter="data")
    return folder


def _git(*arguments: str) -> bytes:
    """Return the output of git; empty if it fails or is not installed."""
    if not shutil.which("git"):
        return b""
    return subprocess.run(["git", "-C", ROOT, *arguments], check=False, capture_output=True).stdout
