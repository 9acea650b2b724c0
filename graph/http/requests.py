"""GraphQL requests, as they stand in an HTTP request."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from graph.asgi.headers import header
from graph.asgi.media_types import JSON, MULTIPART, is_json, is_utf_8
from graph.http.errors import BadRequest
from graph.rows.extraction import ExtractedRows, extract_rows

T = TypeVar("T")

MAX_QUERY = 100_000
NO_VARIABLES = msgspec.Raw(b"null")


class PersistedQuery(msgspec.Struct, rename={"sha256": "sha256Hash"}):
    """The document of a request by its hash, as Apollo's automatic persisted queries have it."""

    version: int
    sha256: str


class Extensions(msgspec.Struct, rename="camel"):
    """What clients add to a request, as far as it is understood here."""

    persisted_query: PersistedQuery | None = None


class GraphQLRequest(msgspec.Struct, rename="camel"):
    """A request's parameters. The variables stay undecoded until the document says which of them hold rows.

    The document is `query`, or the one with the id `document_id`, or the one that `extensions` name by its hash.
    """

    query: str | None = None
    operation_name: str | None = None
    variables: msgspec.Raw = NO_VARIABLES
    extensions: Extensions | None = None
    document_id: str | None = None

    @property
    def persisted_query(self) -> PersistedQuery | None:
        """The document by its hash."""
        return self.extensions.persisted_query if self.extensions else None


class LargeRequest(GraphQLRequest):
    """A request without its rows, and these."""

    extracted: ExtractedRows | None = None


_decode = msgspec.json.Decoder(GraphQLRequest).decode
_decode_extensions = msgspec.json.Decoder(Extensions | None).decode


async def read_request(request: Request) -> GraphQLRequest:
    """Return the GraphQL request of an HTTP request. Raises `BadRequest`."""
    if request.method == "GET":
        return _from_query_string(request)
    content_type = header(request.scope, b"content-type")
    if not is_json(content_type):
        raise BadRequest(415, "UNSUPPORTED_MEDIA_TYPE", f"Send the request as {JSON}, with a file as {MULTIPART}.")
    if not is_utf_8(content_type):
        raise BadRequest(415, "UNSUPPORTED_MEDIA_TYPE", "Send the request in UTF-8.")
    body = await _whole(request)
    extracted = await extract_rows(body)
    if extracted:
        with suppress(BadRequest):  # comes again below, and tells the place in the whole body
            return LargeRequest(**msgspec.structs.asdict(decode_request(extracted.rest, "body")), extracted=extracted)
    return decode_request(body, "body")


def decode_request(raw: bytes, what: str) -> GraphQLRequest:
    """Return the GraphQL request of a JSON text; `what` names the text. Raises `BadRequest`."""
    return _checked(_decoded(_decode, raw, what, "no GraphQL request"))


async def _whole(request: Request) -> bytes:
    message = await request.receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")  # nearly all come in one piece
        return body
    pieces: list[bytes] = []
    while message["type"] == "http.request":
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)
        message = await request.receive()
    raise ClientDisconnect


def _from_query_string(request: Request) -> GraphQLRequest:
    parameters = request.query_params
    variables, extensions = parameters.get("variables"), parameters.get("extensions")
    return _checked(
        GraphQLRequest(
            parameters.get("query"),
            parameters.get("operationName") or None,
            msgspec.Raw(variables.encode()) if variables else NO_VARIABLES,
            _decoded(_decode_extensions, extensions.encode(), "parameter `extensions`", "none") if extensions else None,
            parameters.get("documentId"),
        )
    )


def _decoded(decode: Callable[[bytes], T], raw: bytes, what: str, expected: str) -> T:
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        raise BadRequest(400, "BAD_REQUEST", f"The {what} is {expected}: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(400, "BAD_REQUEST", f"The {what} is not valid JSON: {error}.") from error


def _checked(request: GraphQLRequest) -> GraphQLRequest:
    if not request.query:
        if request.document_id or request.persisted_query:
            return request
        raise BadRequest(400, "BAD_REQUEST", "The request has no `query`.")
    if request.document_id:
        raise BadRequest(400, "BAD_REQUEST", "Send either `query` or `documentId`.")
    if len(request.query) > MAX_QUERY:
        raise BadRequest(400, "DOCUMENT_TOO_LARGE", f"A document has at most {MAX_QUERY} characters.")
    return request
