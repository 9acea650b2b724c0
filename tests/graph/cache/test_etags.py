"""ETags differ in everything that a response depends on; If-None-Match is evaluated as in RFC 9110."""

from typing import Any

import graphql
import pytest

from graph.cache.etags import ETags, matches
from graph.schema.build import build_schema

SCHEMA = build_schema()._schema
REQUEST: dict[str, Any] = {
    "scope": "anonymous",
    "media_type": "application/json",
    "document": "digest",
    "operation_name": None,
    "variables": {"a": 1, "b": {"c": "x", "d": None}},
    "versions": {"retail": 3},
}


@pytest.mark.parametrize(
    "change",
    [
        {"scope": "another"},
        {"media_type": "application/graphql-response+json"},
        {"document": "another"},
        {"operation_name": "q"},
        {"variables": {"a": 2, "b": {"c": "x", "d": None}}},
        {"variables": {"a": "1", "b": {"c": "x", "d": None}}},
        {"variables": {"a": 1, "b": {"c": "x"}}},
        {"variables": {}},
        {"versions": {"retail": 4}},
        {"versions": {"wholesale": 3}},
        {"versions": {"retail": 3, "wholesale": 3}},
        {"versions": {}},
    ],
)
def test_an_etag_changes_with_everything_that_the_response_depends_on(change: dict[str, Any]) -> None:
    etags = ETags(SCHEMA)
    assert etags.etag(**REQUEST) != etags.etag(**{**REQUEST, **change})


def test_an_etag_is_the_same_in_every_process() -> None:
    again = {**REQUEST, "variables": {"b": {"d": None, "c": "x"}, "a": 1}}
    assert ETags(SCHEMA).etag(**REQUEST) == ETags(build_schema()._schema).etag(**again)


def test_a_release_with_another_schema_has_other_etags() -> None:
    assert ETags(SCHEMA).etag(**REQUEST) != ETags(graphql.build_schema("type Query { a: Int }")).etag(**REQUEST)


def test_large_numbers_are_distinguished() -> None:
    etags = ETags(SCHEMA)
    one, other = ({**REQUEST, "variables": {"a": 10**30 + n}} for n in range(2))
    assert etags.etag(**one) != etags.etag(**other)


@pytest.mark.parametrize(
    ("if_none_match", "expected"),
    [
        (b'"abc"', True),
        (b'W/"abc"', True),
        (b'"x", "abc"', True),
        (b'"x",W/"abc" , "y"', True),
        (b'"with, comma","abc"', True),
        (b"*", True),
        (b" * ", True),
        (b'"abcd"', False),
        (b"abc", False),
        (b"", False),
        (b'"x, abc"', False),
        (b'"*"', False),
        (b'w"', False),
    ],
)
def test_if_none_match_is_evaluated_as_in_rfc_9110(if_none_match: bytes, expected: bool) -> None:
    assert matches(if_none_match, b'"abc"') is expected
