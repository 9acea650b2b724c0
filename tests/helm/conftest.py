"""Fixtures of the chart tests: the real helm, as `make chart` installs it."""

from pathlib import Path

import pytest

from helm import tools


@pytest.fixture(scope="session")
def helm() -> Path:
    """The path of helm."""
    return tools.helm()
