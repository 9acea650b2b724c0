"""The environment of benchmarks on the shared replica set, at the smallest scale."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.environment import Environment
from bench.large_lists import LARGE_DATABASE
from tests.stack.replica_set import BreakableReplicaSet


@pytest.fixture
def environment(replica_set: BreakableReplicaSet, tmp_path: Path) -> Iterator[Environment]:
    """An environment whose databases are dropped after the test."""
    environment = Environment(replica_set.uri, tmp_path, scale=0.0001)
    environment.clear()
    yield environment
    environment.clear()
    environment.clear(LARGE_DATABASE)
