"""The code of the last release, as it was: the newest tag, or commit, that says so (CONTRIBUTING.md, "Releases")."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.stack.servers import ROOT

PACKAGES = ("graph", "loaders", "storage", "pyproject.toml")


def last_release(folder: Path) -> Path:
    """Lay the code of the last release into a folder and return that; skips in a checkout that does not have it."""
    revision = _git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
    revision = revision or _git("log", "-1", "--format=%H", "--extended-regexp", "--grep", "^Release [0-9.]+$")
    if not revision:
        pytest.skip("This checkout has no release: neither a tag nor a commit of that name.")
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", revision.decode().strip(), *PACKAGES], check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as code:
        code.extractall(folder, filter="data")
    return folder


def _git(*arguments: str) -> bytes:
    """What git says; nothing where it fails, or is not there."""
    if not shutil.which("git"):
        return b""
    return subprocess.run(["git", "-C", ROOT, *arguments], check=False, capture_output=True).stdout
