"""The headers of a request by their names, looked through once for all who ask."""

from starlette.types import Scope

_HEADERS = "pricebook.headers"


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers; one that came more than once is joined by commas (RFC 9110, section 5.3)."""
    known: dict[bytes, bytes] | None = scope.get(_HEADERS)
    if known is None:
        known = dict(scope["headers"])
        if len(known) != len(scope["headers"]):
            known = _joined(scope)
        scope[_HEADERS] = known
    return known


def header(scope: Scope, name: bytes, default: str = "") -> str:
    """Return a header of a request as text; `name` is in lower case."""
    value = headers_of(scope).get(name)
    return default if value is None else value.decode("latin-1")


def _joined(scope: Scope) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        joined[name] = b"%b, %b" % (joined[name], value) if name in joined else value
    return joined
