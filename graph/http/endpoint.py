"""The GraphQL endpoint, by the GraphQL-over-HTTP specification: POST for all operations, GET for queries."""

from typing import Any

import msgspec
import strawberry
from graphql import OperationType
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from strawberry.http.ides import get_graphql_ide_html

from graph.documents import Documents, Operation
from graph.errors import present
from graph.http.answers import GRAPHQL_RESPONSE, error_response, json_response
from graph.http.live import Live, MakeContext, is_websocket, wants_events
from graph.http.multipart import UploadRequest, is_multipart, read_multipart
from graph.http.requests import BadRequest, Body, GraphQLRequest, accepted_media_type, read_request
from graph.rows import decode_variables
from storage import MAX_FILE_BYTES


class Endpoint:
    """The ASGI application at `/graphql`. `make_context` gives each request a context of its own.

    `max_file_bytes` is how large the file of a request may be, once decompressed.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: MakeContext,
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self._schema = schema._schema
        self._documents = Documents(self._schema)
        self._make_context = make_context
        self._live = Live(schema, make_context)
        self._max_file_bytes = max_file_bytes
        self._ide = get_graphql_ide_html("graphiql")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, or a WebSocket."""
        if is_websocket(scope) or wants_events(Request(scope)):
            await self._live(scope, receive, send)
            return
        body = Body(receive)
        request = Request(scope, body)
        response = await self._respond(request)
        if request.method == "POST" and not body.ended:
            # What is left of the body stays unread, so the connection cannot be used again.
            response.headers["connection"] = "close"
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method not in ("GET", "POST"):
            return error_response(405, "METHOD_NOT_ALLOWED", "Use GET or POST.", {"allow": "GET, POST"})
        if request.method == "GET" and "query" not in request.query_params and _is_browser(request):
            return HTMLResponse(self._ide)
        media_type = accepted_media_type(request)
        if media_type is None:
            return error_response(406, "NOT_ACCEPTABLE", f"Accept {GRAPHQL_RESPONSE} or application/json.")
        try:
            if is_multipart(request):
                return await self._execute(request, await read_multipart(request, self._max_file_bytes), media_type)
            return await self._execute(request, await read_request(request), media_type)
        except BadRequest as bad:
            return error_response(bad.status, bad.code, bad.message, media_type=media_type)

    async def _execute(self, request: Request, asked: GraphQLRequest, media_type: str) -> Response:
        document = self._documents.get(asked.query or "")
        if document.errors:
            # A request that was understood but is not valid: 400, save for the legacy media type.
            status = 400 if media_type == GRAPHQL_RESPONSE else 200
            return json_response({"errors": [present(error) for error in document.errors]}, status, media_type)
        operation = document.operation(asked.operation_name)
        if operation is None:
            raise BadRequest(400, "OPERATION_NOT_FOUND", "Say with `operationName` which operation to execute.")
        if operation.kind is OperationType.SUBSCRIPTION:
            raise BadRequest(400, "BAD_REQUEST", "Subscriptions need server-sent events or a WebSocket.")
        if request.method == "GET" and operation.kind is not OperationType.QUERY:
            return error_response(405, "METHOD_NOT_ALLOWED", "Send mutations by POST.", {"allow": "POST"}, media_type)
        result = await operation.executable.execute(_variables(asked, operation), self._make_context(request))
        body: dict[str, Any] = {}
        if result.errors:
            body["errors"] = [present(error) for error in result.errors]
        not_executed = result.errors and result.data is None and not any(error.path for error in result.errors)
        if not not_executed:
            body["data"] = result.data
        status = 400 if not_executed and media_type == GRAPHQL_RESPONSE else 200
        return json_response(body, status, media_type)


def _variables(asked: GraphQLRequest, operation: Operation) -> dict[str, Any]:
    try:
        variables = decode_variables(asked.variables, operation.rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(400, "BAD_REQUEST", f"`variables` must be a JSON object: {error}.") from error
    if isinstance(asked, UploadRequest):
        asked.place(variables)
    return variables


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
