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

from graph.asgi.headers import Headers
from graph.asgi.media_types import EVENTS, GRAPHQL_RESPONSE, JSON, accepted_media_type
from graph.cache.cache_control import CacheControl
from graph.cache.etags import ETags
from graph.cache.response_cache import Entry
from graph.context import Context
from graph.documents.document import Document, Documents, Operation
from graph.http.cacheable_request import CacheableRequest, uncacheable_headers
from graph.http.errors import BadRequest, HTTPError, MethodNotAllowed, NotAcceptable, OperationNotFound
from graph.http.loop_limiter import LoopLimiter
from graph.http.multipart import UploadRequest, is_multipart, read_multipart
from graph.http.persisted_queries import RequestedDocuments
from graph.http.requests import BulkRequest, GraphQLRequest, decode_request, read_request
from graph.http.response import HTTPResponse, error_response, json_response, make_response
from graph.http.streaming import ContextFactory, StreamingTransport
from graph.http.trusted_documents import TrustedDocuments
from graph.identity.callers import AccessError, Unauthenticated
from graph.limits.limits import DEFAULT_LIMITS, Limits, OverLimit
from graph.limits.rates import RateLimiter
from graph.limits.subscriptions import Subscriptions
from graph.limits.time_limit import run_with_timeout
from graph.request_state import REQUEST_STATE, RequestState
from graph.rows.placeholders import decode_variables
from graph.runtime import Runtime
from graph.schema.errors import format_error
from graph.telemetry.traces import TRACES
from storage import MAX_FILE_BYTES

MAX_NEW_DOCUMENTS_PER_ITERATION = 4
"""New documents to parse, validate and plan in one iteration of the event loop; each takes 2 to 3 milliseconds."""


class Endpoint:
    """The ASGI application at `/graphql`.

    `context_factory` creates the context of each request; `max_file_bytes` limits an uploaded file once decompressed;
    web pages of `origins` may open WebSockets, besides those of this server; `ide` serves GraphiQL to browsers.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        context_factory: ContextFactory,
        limits: Limits = DEFAULT_LIMITS,
        max_file_bytes: int = MAX_FILE_BYTES,
        trusted: TrustedDocuments | None = None,
        cache_control: CacheControl | None = None,
        subscriptions: Subscriptions | None = None,
        rate_limiter: RateLimiter | None = None,
        origins: Sequence[str] = (),
        *,
        ide: bool = False,
    ) -> None:
        trusted = trusted or TrustedDocuments()
        self._schema = schema._schema
        self._limits = limits
        self._requested_documents = RequestedDocuments(trusted)
        self._documents = Documents(self._schema, limits)
        self._new_documents = LoopLimiter(MAX_NEW_DOCUMENTS_PER_ITERATION)
        self._etags = ETags(self._schema)
        self._cache_control = cache_control or CacheControl()
        self._context_factory = context_factory
        self._streaming = StreamingTransport(
            schema,
            context_factory,
            trusted,
            self._documents,
            limits,
            subscriptions or Subscriptions(),
            rate_limiter,
            origins,
        )
        self._max_file_bytes = max_file_bytes
        self._ide = get_graphql_ide_html("graphiql").encode() if ide else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an HTTP request or a WebSocket."""
        state: RequestState = scope[REQUEST_STATE]
        if scope["type"] == "websocket" or (EVENTS in state.header(b"accept") and state.caller.has_grants):
            await self._streaming(scope, receive, send)
            return
        response = await self._respond(Request(scope, receive), state)
        await response(scope, receive, send)

    async def _respond(self, http_request: Request, state: RequestState) -> HTTPResponse:
        if http_request.method not in ("GET", "POST"):
            return error_response(MethodNotAllowed("Use GET or POST.", "GET, POST"))
        accept = state.header(b"accept")
        if self._ide and http_request.method == "GET" and "text/html" in accept and not _has_document(http_request):
            return make_response(self._ide, 200, "text/html; charset=utf-8")
        if not state.caller.has_grants:
            return error_response(Unauthenticated())
        media_type = accepted_media_type(accept)
        if media_type is None:
            return error_response(NotAcceptable(f"Send an `Accept` header with {GRAPHQL_RESPONSE} or {JSON}."))
        try:
            request = await self._read(http_request)
            return await self._execute(http_request, state, request, media_type)
        except (HTTPError, OverLimit) as error:
            return error_response(error, _request_error_status(media_type), media_type)

    async def _read(self, http_request: Request) -> GraphQLRequest:
        if is_multipart(http_request):
            return await read_multipart(http_request, self._max_file_bytes)
        return await read_request(http_request)

    async def _execute(
        self, http_request: Request, state: RequestState, request: GraphQLRequest, media_type: str
    ) -> HTTPResponse:
        document = await self._document(self._requested_documents.find(request))
        if document.over_limit:
            raise document.over_limit
        if document.errors:
            errors = [format_error(error) for error in document.errors]
            return json_response({"errors": errors}, _request_error_status(media_type), media_type)
        self._requested_documents.remember(request)
        operation = document.operation(request.operation_name)
        if operation is None:
            raise OperationNotFound("Set `operationName` to the name of an operation of the document.")
        state.operation_name = operation.name
        if operation.kind is OperationType.SUBSCRIPTION:
            raise BadRequest(f"Subscriptions need server-sent events (`Accept: {EVENTS}`) or a WebSocket.")
        if http_request.method == "GET" and operation.kind is not OperationType.QUERY:
            raise MethodNotAllowed("Send mutations by POST.", "POST")
        if operation.rows:
            await asyncio.sleep(0)  # the body, which may be large, was scanned just now and is scanned again below
        variables = _variables(request, operation)
        operation.cost.check(variables)
        context = self._context_factory(http_request)
        cacheable = self._cacheable(state, request, media_type, document, operation, variables)
        if cacheable and state.min_versions is None:
            response = cacheable.not_modified_response(context)
            if response:
                return response
        with TRACES.operation(operation.kind.value, request.operation_name, document.digest):
            result = await self._result(operation, variables, context)
        if cacheable and not result.errors:
            return _cacheable_response(http_request.scope, state, cacheable, result, context)
        return _response(result, media_type, uncacheable_headers(context.loaders.view))

    async def _document(self, text: str) -> Document:
        if text not in self._documents:
            await self._new_documents.enter()
        return self._documents.get(text)

    async def _result(self, operation: Operation, variables: dict[str, Any], context: Context) -> ExecutionResult:
        if operation.kind is not OperationType.QUERY:  # mutations have no time limit: a large batch takes long
            return await operation.executable.execute(variables, context)
        return await run_with_timeout(self._limits, operation.executable.execute(variables, context))

    def _cacheable(
        self,
        state: RequestState,
        request: GraphQLRequest,
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
            state.caller.view,
            media_type,
            document.digest,
            operation.cacheability,
            request.operation_name,
            variables,
            state.headers.get(b"if-none-match", b""),
        )


def _cacheable_response(
    scope: Scope, state: RequestState, cacheable: CacheableRequest, result: ExecutionResult, context: Context
) -> HTTPResponse:
    """Return the response to a cacheable request that had no errors, and put it into the response cache."""
    view = context.loaders.view
    cache_headers, revisions = cacheable.cache_headers(view), view.revisions()
    if cache_headers is None:
        return json_response({"data": result.data}, 200, cacheable.media_type, uncacheable_headers(view))
    response = json_response({"data": result.data}, 200, cacheable.media_type, cache_headers)
    if revisions and state.cache_key:
        runtime: Runtime = scope["state"]["runtime"]
        stats = runtime.requests.by_operation[state.operation_name]
        etag = dict(cache_headers)[b"etag"]
        runtime.responses.put(state.cache_key, Entry(response.headers, response.body, etag, revisions, stats))
    return response.not_modified() if cacheable.is_satisfied_by(cache_headers) else response


def _response(result: ExecutionResult, media_type: str, cache_headers: Headers) -> HTTPResponse:
    """Return a response that must not be cached."""
    body: dict[str, Any] = {}
    if result.errors:
        body["errors"] = [format_error(error) for error in result.errors]
    is_request_error = result.errors and result.data is None and not any(error.path for error in result.errors)
    if not is_request_error:
        body["data"] = result.data
    status = _request_error_status(media_type) if is_request_error else 200
    return json_response(body, _access_error_status(result, media_type) or status, media_type, cache_headers)


def _access_error_status(result: ExecutionResult, media_type: str) -> int | None:
    """Return 401 or 403 if access errors left the response without any data; None otherwise."""
    causes = [error.original_error for error in result.errors or ()]
    has_data = any(value is not None for value in (result.data or {}).values())
    statuses = [cause.status for cause in causes if isinstance(cause, AccessError)]
    if media_type != GRAPHQL_RESPONSE or has_data or not statuses or len(statuses) < len(causes):
        return None
    return min(statuses)


def _request_error_status(media_type: str) -> int:
    """Return the status of a request error: 400, but 200 in the legacy media type."""
    return 400 if media_type == GRAPHQL_RESPONSE else 200


def _variables(request: GraphQLRequest, operation: Operation) -> dict[str, Any]:
    try:
        extracted = request.extracted if isinstance(request, BulkRequest) else None
        variables = decode_variables(request.variables, operation.rows, extracted)
        if extracted and not extracted.is_joined:  # the extracted array does not hold rows
            variables = decode_variables(decode_request(extracted.body, "body").variables, operation.rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"`variables` must be a JSON object: {error}.") from error
    if isinstance(request, UploadRequest):
        request.insert_upload(variables)
    return variables


def _has_document(http_request: Request) -> bool:
    return any(name in http_request.query_params for name in ("query", "documentId", "extensions"))
