"""Folders in which npm packages are installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL = ("npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")


def install(package: Path, folder: Path) -> None:
    """Copy a package to a new folder, and install what it needs. Skip the test if this machine has no Node.js."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("The test needs node and npm, and they are not on the PATH.")
    shutil.copytree(package, folder)
    installed = run(*INSTALL, cwd=folder)
    assert installed.returncode == 0, installed.stderr


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, and return its output."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
