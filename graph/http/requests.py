"""GraphQL requests, decoded from the body or the query string of an HTTP request."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import msgspec
from starlette.requests import Request

from graph.asgi.bodies import read_body
from graph.asgi.media_types import JSON, MULTIPART, is_json, is_utf_8
from graph.http.errors import BadRequest, BatchingNotSupported, DocumentTooLarge, UnsupportedMediaType
from graph.request_state import REQUEST_STATE, RequestState
from graph.rows.extraction import ExtractedRows, extract_rows

T = TypeVar("T")

MAX_DOCUMENT_LENGTH = 100_000
"""Number of characters of a document."""

NO_VARIABLES = msgspec.Raw(b"null")


class PersistedQuery(msgspec.Struct, rename={"sha256": "sha256Hash"}):
    """The hash of a document, as in Apollo's automatic persisted queries."""

    version: int
    sha256: str


class Extensions(msgspec.Struct, rename="camel"):
    """The supported members of a request's `extensions`."""

    persisted_query: PersistedQuery | None = None


class GraphQLRequest(msgspec.Struct, rename="camel"):
    """The parameters of a GraphQL request.

    The document is `query`, or that with the id `document_id` or with the hash in `extensions`. The variables are
    decoded when the document is known, because it declares which of them hold rows.
    """

    query: str | None = None
    operation_name: str | None = None
    variables: msgspec.Raw = NO_VARIABLES
    extensions: Extensions | None = None
    document_id: str | None = None

    @property
    def persisted_query(self) -> PersistedQuery | None:
        """The hash of the document, if the request has it."""
        return self.extensions.persisted_query if self.extensions else None


class BulkRequest(GraphQLRequest):
    """A large request, whose rows were cut out of the body before it was decoded."""

    extracted: ExtractedRows | None = None


_decode = msgspec.json.Decoder(GraphQLRequest).decode
_decode_extensions = msgspec.json.Decoder(Extensions | None).decode


async def read_request(request: Request) -> GraphQLRequest:
    """Return the GraphQL request of an HTTP request. Raises `HTTPError`."""
    if request.method == "GET":
        return _from_query_string(request)
    state: RequestState = request.scope[REQUEST_STATE]
    content_type = state.header(b"content-type")
    if not is_json(content_type):
        raise UnsupportedMediaType(f"Send the request as {JSON}, or as {MULTIPART} if it has a file.")
    if not is_utf_8(content_type):
        raise UnsupportedMediaType("Encode the request in UTF-8.")
    body = await read_body(request.receive)
    extracted = await extract_rows(body)
    if extracted:
        with suppress(BadRequest):  # decoding the whole body raises it again, with the right position
            return BulkRequest(**msgspec.structs.asdict(decode_request(extracted.rest, "body")), extracted=extracted)
    return decode_request(body, "body")


def decode_request(json: bytes, name: str) -> GraphQLRequest:
    """Return the GraphQL request of a JSON text, which error messages call `name`. Raises `BadRequest`."""
    try:
        return check_request(_decoded(_decode, json, name, "a GraphQL request"))
    except BadRequest as error:
        if json[:100].lstrip().startswith(b"["):
            raise BatchingNotSupported(
                f"The {name} is an array. Send each operation in a request of its own."
            ) from error
        raise


def _from_query_string(request: Request) -> GraphQLRequest:
    parameters = request.query_params
    variables, extensions = parameters.get("variables"), parameters.get("extensions")
    return check_request(
        GraphQLRequest(
            parameters.get("query"),
            parameters.get("operationName") or None,
            msgspec.Raw(variables.encode()) if variables else NO_VARIABLES,
            _decoded(_decode_extensions, extensions.encode(), "parameter `extensions`", "valid")
            if extensions
            else None,
            parameters.get("documentId"),
        )
    )


def _decoded(decode: Callable[[bytes], T], json: bytes, name: str, expected: str) -> T:
    try:
        return decode(json)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The {name} is not {expected}: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The {name} is not valid JSON: {error}.") from error


def check_request(request: GraphQLRequest) -> GraphQLRequest:
    """Return a request if it has one document, which is not too long. Raises `BadRequest`."""
    if not request.query:
        if request.document_id or request.persisted_query:
            return request
        raise BadRequest("The request has no `query`. Send a document, or the `documentId` of a trusted one.")
    if request.document_id:
        raise BadRequest("The request has both `query` and `documentId`. Send one of them.")
    if len(request.query) > MAX_DOCUMENT_LENGTH:
        raise DocumentTooLarge(f"The document has over {MAX_DOCUMENT_LENGTH} characters. Send values as variables.")
    return request
