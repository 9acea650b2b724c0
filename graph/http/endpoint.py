"""The GraphQL endpoint, by the GraphQL-over-HTTP specification: POST for all operations, GET for queries."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import strawberry
from graphql import ExecutionResult, OperationType
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from strawberry.http.ides import get_graphql_ide_html

from graph.asgi.headers import header, headers_of
from graph.asgi.media_types import GRAPHQL_RESPONSE, accepted_media_type
from graph.cache.cache_control import CacheControl
from graph.cache.etags import ETags
from graph.context import Context
from graph.documents.document import Document, Documents, Operation
from graph.http.cacheable_request import CacheableRequest
from graph.http.errors import BadRequest, unauthenticated
from graph.http.loop_limiter import LoopLimiter
from graph.http.multipart import UploadRequest, is_multipart, read_multipart
from graph.http.persisted_queries import RequestedDocuments
from graph.http.requests import GraphQLRequest, LargeRequest, decode_request, read_request
from graph.http.response import Answer, answer, error_response, json_response
from graph.http.streaming import MakeContext, StreamingTransport, is_websocket, wants_events
from graph.http.trusted_documents import TrustedDocuments
from graph.identity.callers import AccessError, Unauthenticated
from graph.limits.limits import DEFAULT_LIMITS, Limits, OverLimit
from graph.limits.rates import Rates
from graph.limits.subscriptions import Subscriptions
from graph.limits.time_limit import within
from graph.middleware.authentication import caller_of
from graph.middleware.response_cache import MIN_VERSION, keep
from graph.rows.placeholders import decode_variables
from graph.schema.errors import format_error
from graph.telemetry.requests import note_operation
from graph.telemetry.traces import TRACES
from storage import MAX_FILE_BYTES

NEW_DOCUMENTS_PER_TURN = 4
"""To parse, validate and plan one takes two or three milliseconds."""


class Endpoint:
    """The ASGI application at `/graphql`. `make_context` gives each request a context of its own.

    `max_file_bytes` is how large the file of a request may be, once decompressed; `origins` are those of web pages
    that may open WebSockets, beside our own; with `ide` browsers get an editor.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: MakeContext,
        limits: Limits = DEFAULT_LIMITS,
        max_file_bytes: int = MAX_FILE_BYTES,
        trusted: TrustedDocuments | None = None,
        cache_control: CacheControl | None = None,
        subscriptions: Subscriptions | None = None,
        rates: Rates | None = None,
        origins: Sequence[str] = (),
        *,
        ide: bool = False,
    ) -> None:
        trusted = trusted or TrustedDocuments()
        self._schema = schema._schema
        self._limits = limits
        self._requested = RequestedDocuments(trusted)
        self._documents = Documents(self._schema, limits)
        self._new_documents = LoopLimiter(NEW_DOCUMENTS_PER_TURN)
        self._etags = ETags(self._schema)
        self._cache_control = cache_control or CacheControl()
        self._make_context = make_context
        self._live = StreamingTransport(
            schema, make_context, trusted, self._documents, limits, subscriptions or Subscriptions(), rates, origins
        )
        self._max_file_bytes = max_file_bytes
        self._ide = get_graphql_ide_html("graphiql").encode() if ide else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, or a WebSocket."""
        if is_websocket(scope):
            await self._live(scope, receive, send)
            return
        request = Request(scope, receive)
        if wants_events(scope) and caller_of(scope).may_ask:
            await self._live(scope, receive, send)
            return
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Answer:
        if request.method not in ("GET", "POST"):
            return error_response(405, "METHOD_NOT_ALLOWED", "Use GET or POST.", {"allow": "GET, POST"})
        if self._ide and request.method == "GET" and _is_browser(request) and not _asks(request):
            return answer(self._ide, 200, "text/html; charset=utf-8")
        if not caller_of(request.scope).may_ask:
            return unauthenticated(Unauthenticated())
        media_type = accepted_media_type(header(request.scope, b"accept"))
        if media_type is None:
            return error_response(406, "NOT_ACCEPTABLE", f"Accept {GRAPHQL_RESPONSE} or application/json.")
        try:
            if is_multipart(request):
                return await self._execute(request, await read_multipart(request, self._max_file_bytes), media_type)
            return await self._execute(request, await read_request(request), media_type)
        except (BadRequest, OverLimit) as bad:
            status = _status(media_type) if bad.status is None else bad.status
            return error_response(status, bad.code, bad.message, media_type=media_type)

    async def _execute(self, request: Request, asked: GraphQLRequest, media_type: str) -> Answer:
        document = await self._document(self._requested.text(asked))
        if document.over_limit:
            raise document.over_limit
        if document.errors:
            errors = [format_error(error) for error in document.errors]
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
        operation.cost.check(variables)
        context = self._make_context(request)
        shareable = self._shareable(request, asked, media_type, document, operation, variables)
        if shareable and MIN_VERSION not in headers_of(request.scope):
            unexecuted = shareable.unexecuted(context)
            if unexecuted:
                return unexecuted
        with TRACES.operation(operation.kind.value, asked.operation_name, document.digest):
            result = await self._result(operation, variables, context)
        if shareable and not result.errors:
            return _shared(request, shareable, result, context)
        return _alone(result, media_type)

    async def _document(self, text: str) -> Document:
        if text not in self._documents:
            await self._new_documents.enter()
        return self._documents.get(text)

    async def _result(self, operation: Operation, variables: dict[str, Any], context: Context) -> ExecutionResult:
        if operation.kind is not OperationType.QUERY:  # what changes something takes as long as what it brings
            return await operation.executable.execute(variables, context)
        return await within(self._limits, operation.executable.execute(variables, context))

    def _shareable(
        self,
        request: Request,
        asked: GraphQLRequest,
        media_type: str,
        document: Document,
        operation: Operation,
        variables: dict[str, Any],
    ) -> CacheableRequest | None:
        if operation.cacheability is None:
            return None
        return CacheableRequest(
            self._etags,
            self._cache_control,
            caller_of(request.scope).view,
            media_type,
            document.digest,
            operation.cacheability,
            asked.operation_name,
            variables,
            headers_of(request.scope).get(b"if-none-match", b""),
        )


def _shared(request: Request, shareable: CacheableRequest, result: ExecutionResult, context: Context) -> Answer:
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
        body["errors"] = [format_error(error) for error in result.errors]
    not_executed = result.errors and result.data is None and not any(error.path for error in result.errors)
    if not not_executed:
        body["data"] = result.data
    status = _status(media_type) if not_executed else 200
    return json_response(body, _refused(result, media_type) or status, media_type)


def _refused(result: ExecutionResult, media_type: str) -> int | None:
    """Return the status where nothing was answered because the caller may not ask for any of it; else None."""
    causes = [error.original_error for error in result.errors or ()]
    answered = any(value is not None for value in (result.data or {}).values())
    refusals = [cause.status for cause in causes if isinstance(cause, AccessError)]
    if media_type != GRAPHQL_RESPONSE or answered or not refusals or len(refusals) < len(causes):
        return None
    return min(refusals)


def _status(media_type: str) -> int:
    """The status for a request that was understood but is not executed: 400, save for the legacy media type."""
    return 400 if media_type == GRAPHQL_RESPONSE else 200


def _variables(asked: GraphQLRequest, operation: Operation) -> dict[str, Any]:
    try:
        extracted = asked.extracted if isinstance(asked, LargeRequest) else None
        variables = decode_variables(asked.variables, operation.rows, extracted)
        if extracted and not extracted.is_joined:  # they are no rows but something else of that name
            variables = decode_variables(decode_request(extracted.body, "body").variables, operation.rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(400, "BAD_REQUEST", f"`variables` must be a JSON object: {error}.") from error
    if isinstance(asked, UploadRequest):
        asked.place(variables)
    return variables


def _is_browser(request: Request) -> bool:
    return "text/html" in header(request.scope, b"accept")


def _asks(request: Request) -> bool:
    return any(name in request.query_params for name in ("query", "documentId", "extensions"))
