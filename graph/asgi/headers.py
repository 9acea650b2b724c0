"""HTTP headers as ASGI represents them."""

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, with their values."""


def headers_by_name(headers: Headers) -> dict[bytes, bytes]:
    """Return headers by name; the values of a repeated header are joined by commas (RFC 9110, section 5.3)."""
    by_name = dict(headers)
    if len(by_name) == len(headers):
        return by_name
    by_name.clear()
    for name, value in headers:
        by_name[name] = b"%b, %b" % (by_name[name], value) if name in by_name else value
    return by_name
