"""Whose answer it is: only within one scope are answers and ETags the same."""

import hashlib
from collections.abc import Mapping

ANONYMOUS = "anonymous"
"""The scope of everyone who does not say who they are: shared caches may keep these answers."""


def scope_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the scope of a request by its headers, as ASGI has them. Other credentials are another scope."""
    credentials = headers.get(b"authorization")
    return ANONYMOUS if credentials is None else hashlib.sha256(credentials).hexdigest()
