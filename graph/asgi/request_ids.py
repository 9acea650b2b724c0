"""Request ids: the client's own or a generated one; and the id of the trace that a client is in."""

import itertools
import re
import secrets
from collections.abc import Mapping

REQUEST_ID = b"x-request-id"
"""Header with the id of a request, in requests and responses."""

TRACE_PARENT = b"traceparent"
"""Header of the W3C Trace Context."""

_is_valid_id = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch
# https://www.w3.org/TR/trace-context-2/#traceparent-header
_trace_parent = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?").fullmatch
_process_id = secrets.token_hex(6).encode()
_counter = itertools.count(1)


def choose_request_id(headers: Mapping[bytes, bytes]) -> bytes:
    """Return the id that the client sent, if it is valid, else a new one."""
    client_id = headers.get(REQUEST_ID)
    return client_id if client_id and _is_valid_id(client_id) else b"%b-%d" % (_process_id, next(_counter))


def client_trace_id(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the trace id of a `traceparent` header; None without a valid one."""
    trace_parent = headers.get(TRACE_PARENT)
    match = _trace_parent(trace_parent) if trace_parent else None
    return match[1].decode() if match else None
