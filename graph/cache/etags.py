"""ETags (RFC 9110): strong ones, known before an operation is executed, and what a client says it has."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import GraphQLSchema, print_schema

FORMAT = 1
"""To be raised when the same question is answered in other bytes, which the schema does not show."""

_canonical = msgspec.json.Encoder(order="deterministic").encode
_tags = re.compile(rb'"[^"]*"').findall


class ETags:
    """Names answers by all that they depend on; other schemas, as that of the next release, give other names."""

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
        """Return the ETag of an answer. `document` is a digest, `versions` are the current ones that it is made of.

        Versions that the request names itself are known by its document and variables.
        """
        digest = self._release.copy()
        digest.update(_canonical((scope, media_type, document, operation_name, variables, versions)))
        return b'"%b"' % digest.hexdigest().encode()


def has(if_none_match: bytes, etag: bytes) -> bool:
    """Whether a client that sends this `If-None-Match` has the answer of an ETag; with `*` it has any that there is."""
    return if_none_match == etag or has_any(if_none_match) or etag in _tags(if_none_match)


def has_any(if_none_match: bytes) -> bool:
    """Whether a client says that it has whatever there is."""
    return if_none_match.strip() == b"*"
