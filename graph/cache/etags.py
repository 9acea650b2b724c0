"""Strong ETags (RFC 9110), computed before an operation is executed, and the evaluation of If-None-Match."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import GraphQLSchema, print_schema

FORMAT = 1
"""Increase it when responses change in a way that the schema does not show."""

_canonical = msgspec.json.Encoder(order="deterministic").encode
_tags = re.compile(rb'"[^"]*"').findall


class ETags:
    """Computes ETags from everything that a response depends on, including the schema of this release."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._release = hashlib.blake2b(f"{FORMAT}\n{print_schema(schema)}".encode(), digest_size=16)

    def etag(
        self,
        scope: str,
        media_type: str,
        document: str,
        operation_name: str | None,
        variables: Mapping[str, Any],
        versions: Mapping[str, int],
    ) -> bytes:
        """Return the ETag of a response. `document` is a digest.

        `versions` are the current versions that it reads, by list, and those of instants, by list and instant.
        Versions that the request names are part of its document and variables.
        """
        digest = self._release.copy()
        digest.update(_canonical((scope, media_type, document, operation_name, variables, versions)))
        return b'"%b"' % digest.hexdigest().encode()


def matches(if_none_match: bytes, etag: bytes) -> bool:
    """Whether an `If-None-Match` header matches an ETag. `*` matches every ETag."""
    return if_none_match == etag or matches_any(if_none_match) or etag in _tags(if_none_match)


def matches_any(if_none_match: bytes) -> bool:
    """Whether an `If-None-Match` header is `*`."""
    return if_none_match.strip() == b"*"
