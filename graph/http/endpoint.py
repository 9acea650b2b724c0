"""The GraphQL endpoint, by the GraphQL-over-HTTP specification: POST for all operations, GET for queries."""

import asyncio
from typing import Any

import msgspec
import strawberry
from graphql import ExecutionResult, OperationType
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from strawberry.http.ides import get_graphql_ide_html

from graph.context import Context
from graph.documents import Document, Documents, Operation
from graph.errors import present
from graph.http.answers import Answer, answer, error_response, json_response
from graph.http.cache_control import CacheControl
from graph.http.caching import MIN_VERSION, keep
from graph.http.etags import ETags
from graph.http.live import Live, MakeContext, is_websocket, wants_events
from graph.http.media_types import GRAPHQL_RESPONSE, accepted_media_type
from graph.http.multipart import UploadRequest, is_multipart, read_multipart
from graph.http.persisted import RequestedDocuments
from graph.http.requests import BadRequest, Body, GraphQLRequest, LargeRequest, decode_request, read_request
from graph.http.scope import scope_of
from graph.http.sharing import Shareable
from graph.http.trusted import TrustedDocuments
from graph.rows import decode_variables
from graph.telemetry.requests import note_operation
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
        trusted: TrustedDocuments | None = None,
        cache_control: CacheControl | None = None,
    ) -> None:
        trusted = trusted or TrustedDocuments()
        self._schema = schema._schema
        self._requested = RequestedDocuments(trusted)
        self._documents = Documents(self._schema)
        self._etags = ETags(self._schema)
        self._cache_control = cache_control or CacheControl()
        self._make_context = make_context
        self._live = Live(schema, make_context, trusted)
        self._max_file_bytes = max_file_bytes
        self._ide = get_graphql_ide_html("graphiql").encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, or a WebSocket."""
        if is_websocket(scope):
            await self._live(scope, receive, send)
            return
        body = Body(receive)
        request = Request(scope, body)
        if wants_events(request):
            await self._live(scope, receive, send)
            return
        response = await self._respond(request)
        if request.method == "POST" and not body.ended:
            # What is left of the body stays unread, so the connection cannot be used again.
            response.headers.append((b"connection", b"close"))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Answer:
        if request.method not in ("GET", "POST"):
            return error_response(405, "METHOD_NOT_ALLOWED", "Use GET or POST.", {"allow": "GET, POST"})
        if request.method == "GET" and _is_browser(request) and not _asks(request):
            return answer(self._ide, 200, "text/html; charset=utf-8")
        media_type = accepted_media_type(request.headers.get("accept", ""))
        if media_type is None:
            return error_response(406, "NOT_ACCEPTABLE", f"Accept {GRAPHQL_RESPONSE} or application/json.")
        try:
            if is_multipart(request):
                return await self._execute(request, await read_multipart(request, self._max_file_bytes), media_type)
            return await self._execute(request, await read_request(request), media_type)
        except BadRequest as bad:
            status = _status(media_type) if bad.status is None else bad.status
            return error_response(status, bad.code, bad.message, media_type=media_type)

    async def _execute(self, request: Request, asked: GraphQLRequest, media_type: str) -> Answer:
        document = self._documents.get(self._requested.text(asked))
        if document.errors:
            errors = [present(error) for error in document.errors]
            return json_response({"errors": errors}, _status(media_type), media_type)
        self._requested.keep(asked)
        operation = document.operation(asked.operation_name)
        if operation is None:
            raise BadRequest(None, "OPERATION_NOT_FOUND", "Say with `operationName` which operation to execute.")
        note_operation(operation.name)
        if operation.kind is OperationType.SUBSCRIPTION:
            raise BadRequest(400, "BAD_REQUEST", "Subscriptions need server-sent events or a WebSocket.")
        if request.method == "GET" and operation.kind is not OperationType.QUERY:
            return error_response(405, "METHOD_NOT_ALLOWED", "Send mutations by POST.", {"allow": "POST"}, media_type)
        if operation.rows:
            await asyncio.sleep(0)  # what may be many megabytes was looked through, and will be once more
        variables = _variables(asked, operation)
        context = self._make_context(request)
        shareable = self._shareable(request, asked, media_type, document, operation, variables)
        if shareable and MIN_VERSION.decode() not in request.headers:
            unexecuted = shareable.unexecuted(context)
            if unexecuted:
                return unexecuted
        result = await operation.executable.execute(variables, context)
        if shareable and not result.errors:
            return _shared(request, shareable, result, context)
        return _alone(result, media_type)

    def _shareable(
        self,
        request: Request,
        asked: GraphQLRequest,
        media_type: str,
        document: Document,
        operation: Operation,
        variables: dict[str, Any],
    ) -> Shareable | None:
        if operation.versioned is None:
            return None
        return Shareable(
            self._etags,
            self._cache_control,
            scope_of(dict(request.scope["headers"])),
            media_type,
            document.digest,
            operation.versioned,
            asked.operation_name,
            variables,
            ", ".join(request.headers.getlist("if-none-match")).encode("latin-1"),
        )


def _shared(request: Request, shareable: Shareable, result: ExecutionResult, context: Context) -> Answer:
    """Return an answer without errors, and keep it where it can be kept."""
    view = context.loaders.view
    kept, revisions = shareable.kept(view), view.revisions()
    response = json_response({"data": result.data}, 200, shareable.media_type, kept)
    if kept and revisions:
        keep(request.scope, response, dict(kept)[b"etag"], revisions)
    return response.not_modified() if kept and shareable.has(kept) else response


def _alone(result: ExecutionResult, media_type: str) -> Answer:
    """Return an answer that is for nobody else."""
    body: dict[str, Any] = {}
    if result.errors:
        body["errors"] = [present(error) for error in result.errors]
    not_executed = result.errors and result.data is None and not any(error.path for error in result.errors)
    if not not_executed:
        body["data"] = result.data
    return json_response(body, _status(media_type) if not_executed else 200, media_type)


def _status(media_type: str) -> int:
    """The status for a request that was understood but is not executed: 400, save for the legacy media type."""
    return 400 if media_type == GRAPHQL_RESPONSE else 200


def _variables(asked: GraphQLRequest, operation: Operation) -> dict[str, Any]:
    try:
        cut = asked.cut if isinstance(asked, LargeRequest) else None
        variables = decode_variables(asked.variables, operation.rows, cut)
        if cut and not cut.found:  # they are no rows but something else of that name
            variables = decode_variables(decode_request(cut.body, "body").variables, operation.rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(400, "BAD_REQUEST", f"`variables` must be a JSON object: {error}.") from error
    if isinstance(asked, UploadRequest):
        asked.place(variables)
    return variables


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _asks(request: Request) -> bool:
    return any(name in request.query_params for name in ("query", "documentId", "extensions"))
