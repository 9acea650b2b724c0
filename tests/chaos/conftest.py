"""Fixtures of the chaos tests."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient


@pytest.fixture
def database(mongodb_uri: str) -> Iterator[str]:
    """The name of a new database, dropped after the test."""
    name = f"test_{secrets.token_hex(6)}"
    yield name
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(name)
        client.drop_database(f"{name}_layers")
