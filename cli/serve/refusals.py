"""The responses of the server itself, for requests that never reach the application."""

from http import HTTPStatus

import msgspec

BAD_REQUEST, REQUEST_TIMEOUT, HEAD_TOO_LARGE, TOO_MANY_CONNECTIONS = 400, 408, 431, 503

_CODES = {
    BAD_REQUEST: ("BAD_REQUEST", "The request is not valid HTTP/1.1. Correct it."),
    REQUEST_TIMEOUT: ("REQUEST_TIMEOUT", "The request did not arrive in time. Send it again, faster."),
    HEAD_TOO_LARGE: ("HEAD_TOO_LARGE", "The headers are too large or too many. Send smaller or fewer headers."),
    TOO_MANY_CONNECTIONS: (
        "TOO_MANY_CONNECTIONS",
        "The server has as many connections as PRICEBOOK_MAX_CONNECTIONS allows. Try again later, or another server.",
    ),
}


def _response(status: int) -> bytes:
    code, message = _CODES[status]
    body = msgspec.json.encode({"errors": [{"message": message, "extensions": {"code": code}}]})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


RESPONSES = {status: _response(status) for status in _CODES}
"""The complete response by its status; each closes the connection."""


def code_of(status: int) -> str:
    """Return the code of a refusal, for the log."""
    return _CODES[status][0]
