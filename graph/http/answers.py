"""Responses in the media types of the GraphQL-over-HTTP specification."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"

_encode = msgspec.json.Encoder().encode


def json_response(
    body: Any, status: int = 200, media_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with a JSON body."""
    return Response(_encode(body), status, headers, f"{media_type}; charset=utf-8")


def error_response(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, media_type: str = JSON
) -> Response:
    """Return a response that says why a request was not executed."""
    body = {"errors": [{"message": message, "extensions": {"code": code}}]}
    return json_response(body, status, media_type, headers)
