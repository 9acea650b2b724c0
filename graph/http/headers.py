"""The headers of a request by their names, looked through once for all who ask."""

from starlette.types import Scope

_HEADERS = "pricebook.headers"


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers; of one that came twice the last."""
    known: dict[bytes, bytes] | None = scope.get(_HEADERS)
    if known is None:
        known = scope[_HEADERS] = dict(scope["headers"])
    return known


def are_repeated(scope: Scope) -> bool:
    """Whether a header came twice, and has two meanings."""
    return len(headers_of(scope)) != len(scope["headers"])
