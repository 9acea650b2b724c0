"""GraphQL requests, as they stand in an HTTP request."""

import msgspec
from starlette.requests import Request
from starlette.types import Message, Receive

from graph.http.answers import GRAPHQL_RESPONSE, JSON

MULTIPART = "multipart/form-data"

MAX_QUERY = 100_000
NO_VARIABLES = msgspec.Raw(b"null")


class GraphQLRequest(msgspec.Struct, rename="camel"):
    """A request's parameters. The variables stay undecoded until the document says which of them hold rows."""

    query: str | None = None
    operation_name: str | None = None
    variables: msgspec.Raw = NO_VARIABLES


class BadRequest(Exception):
    """The HTTP request does not carry a GraphQL request."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


_decode = msgspec.json.Decoder(GraphQLRequest).decode


class Body:
    """The body of an HTTP request. `ended` once all of it has come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def __call__(self) -> Message:
        """Return the next message of the server."""
        message = await self._receive()
        self.ended = not message.get("more_body", False)
        return message


async def read_request(request: Request) -> GraphQLRequest:
    """Return the GraphQL request of an HTTP request. Raises `BadRequest`."""
    if request.method == "GET":
        return _from_query_string(request)
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != JSON:
        raise BadRequest(415, "UNSUPPORTED_MEDIA_TYPE", f"Send the request as {JSON}, with a file as {MULTIPART}.")
    if "charset" in parameters.lower() and "utf-8" not in parameters.lower():
        raise BadRequest(415, "UNSUPPORTED_MEDIA_TYPE", "Send the request in UTF-8.")
    return decode_request(await request.body(), "body")


def decode_request(raw: bytes, what: str) -> GraphQLRequest:
    """Return the GraphQL request of a JSON text; `what` names the text. Raises `BadRequest`."""
    try:
        return _checked(_decode(raw))
    except msgspec.ValidationError as error:
        raise BadRequest(400, "BAD_REQUEST", f"The {what} is no GraphQL request: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(400, "BAD_REQUEST", f"The {what} is not valid JSON: {error}.") from error


def _from_query_string(request: Request) -> GraphQLRequest:
    parameters = request.query_params
    variables = parameters.get("variables")
    return _checked(
        GraphQLRequest(
            parameters.get("query"),
            parameters.get("operationName") or None,
            msgspec.Raw(variables.encode()) if variables else NO_VARIABLES,
        )
    )


def _checked(request: GraphQLRequest) -> GraphQLRequest:
    if not request.query:
        raise BadRequest(400, "BAD_REQUEST", "The request has no `query`.")
    if len(request.query) > MAX_QUERY:
        raise BadRequest(400, "DOCUMENT_TOO_LARGE", f"A document has at most {MAX_QUERY} characters.")
    return request


def accepted_media_type(request: Request) -> str | None:
    """Return the media type to answer in, the preferred of what the client accepts; None where it is neither."""
    accept = request.headers.get("accept", "")
    if not accept.strip():
        return JSON
    for entry in sorted(map(_weighed, accept.split(",")), key=lambda weighed: -weighed[1]):
        media_type, weight = entry
        if weight <= 0:
            continue
        if media_type in (GRAPHQL_RESPONSE, JSON):
            return media_type
        if media_type in ("*/*", "application/*"):
            return JSON
    return None


def _weighed(entry: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip().lower() for part in entry.split(";"))
    weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return media_type, float(weight)
    except ValueError:
        return media_type, 0.0
