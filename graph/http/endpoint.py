"""The GraphQL endpoint, by the GraphQL-over-HTTP specification: POST for all operations, GET for queries."""

from collections.abc import AsyncGenerator, Sequence

import strawberry
from graphql import ExecutionResult, OperationType
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.asgi.headers import Headers
from graph.asgi.media_types import EVENTS, GRAPHQL_RESPONSE, JSON, Accepted, accepted_media_types
from graph.cache.cache_control import CacheControl
from graph.cache.etags import ETags
from graph.cache.response_cache import Entry
from graph.context import Context, ContextFactory
from graph.documents.errors import RequestErrors
from graph.graphiql import page as graphiql
from graph.http.cacheable_request import CacheableRequest, uncacheable_headers
from graph.http.errors import BadRequest, HTTPError, MethodNotAllowed, NotAcceptable
from graph.http.event_stream import EventStream
from graph.http.multipart import UploadRequest, is_multipart, read_multipart
from graph.http.pipeline import Pipeline, PreparedOperation
from graph.http.requests import GraphQLRequest, read_request
from graph.http.response import (
    HTTPResponse,
    error_response,
    graphql_errors,
    is_request_error,
    json_response,
    make_response,
    result_body,
)
from graph.http.trusted_documents import TrustedDocuments
from graph.http.websocket import WebSocketTransport
from graph.identity.callers import AccessError, Unauthenticated
from graph.limits.bodies import DEFAULT_BODY_LIMITS, BodyLimits
from graph.limits.limits import DEFAULT_LIMITS, Limits, OverLimit
from graph.limits.rates import RateLimiter
from graph.limits.slots import Slots, subscription_slots
from graph.request_state import REQUEST_STATE, RequestState
from graph.runtime import Runtime
from storage import MAX_FILE_BYTES


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
        body_limits: BodyLimits = DEFAULT_BODY_LIMITS,
        max_file_bytes: int = MAX_FILE_BYTES,
        trusted: TrustedDocuments | None = None,
        cache_control: CacheControl | None = None,
        subscriptions: Slots | None = None,
        rate_limiter: RateLimiter | None = None,
        origins: Sequence[str] = (),
        *,
        ide: bool = False,
    ) -> None:
        self._pipeline = Pipeline(schema._schema, limits, trusted or TrustedDocuments(), body_limits.small())
        self._etags = ETags(schema._schema)
        self._cache_control = cache_control or CacheControl()
        self._context_factory = context_factory
        self._subscriptions = subscriptions or subscription_slots()
        self._websockets = WebSocketTransport(
            self._pipeline, context_factory, self._subscriptions, rate_limiter or RateLimiter(0), origins
        )
        self._max_file_bytes = max_file_bytes
        self._ide = graphiql.page() if ide else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an HTTP request or a WebSocket."""
        if scope["type"] == "websocket":
            await self._websockets(scope, receive, send)
            return
        response = await self._respond(Request(scope, receive), scope[REQUEST_STATE])
        await response(scope, receive, send)

    async def _respond(self, http_request: Request, state: RequestState) -> ASGIApp:
        if http_request.method not in ("GET", "POST"):
            return error_response(MethodNotAllowed("Use GET or POST.", "GET, POST"))
        accept = state.header(b"accept")
        if self._ide and http_request.method == "GET" and "text/html" in accept and not _has_document(http_request):
            return make_response(self._ide, 200, "text/html; charset=utf-8")
        if not (state.caller.has_grants or state.preview):
            return error_response(Unauthenticated())
        accepted = accepted_media_types(accept)
        if accepted.json is None and not accepted.events:
            return error_response(NotAcceptable(f"Send an `Accept` header with {GRAPHQL_RESPONSE} or {JSON}."))
        try:
            request = await self._read(http_request)
            if accepted.json is None and isinstance(request, UploadRequest):
                # An event stream receives until the client disconnects, and would receive the file.
                raise BadRequest(f"Send a file with `Accept: {JSON}`.")
            prepared = await self._pipeline.prepare(request, state)
            return await self._execute(http_request, state, prepared, accepted)
        except (HTTPError, OverLimit, RequestErrors) as error:
            return self._refuse(http_request, error, accepted)

    async def _read(self, http_request: Request) -> GraphQLRequest:
        if is_multipart(http_request):
            return await read_multipart(http_request, self._max_file_bytes)
        return await read_request(http_request)

    async def _execute(
        self, http_request: Request, state: RequestState, prepared: PreparedOperation, accepted: Accepted
    ) -> ASGIApp:
        is_subscription = prepared.kind is OperationType.SUBSCRIPTION
        if is_subscription and not accepted.events:
            raise BadRequest(f"Subscriptions need server-sent events (`Accept: {EVENTS}`) or a WebSocket.")
        if http_request.method == "GET" and prepared.kind is OperationType.MUTATION:
            raise MethodNotAllowed("Send mutations by POST.", "POST")
        context = self._context_factory(http_request.scope)
        if is_subscription or accepted.json is None:
            slot = self._subscriptions.slot(state.client) if is_subscription else None
            return EventStream(self._pipeline.subscribe(prepared, context), context, slot)
        cacheable = self._cacheable(state, prepared, accepted.json)
        if cacheable and state.min_versions is None:
            response = cacheable.not_modified_response(context)
            if response:
                return response
        result = await self._pipeline.execute(prepared, context)
        if cacheable and not result.errors:
            return _cacheable_response(http_request.scope, state, cacheable, result, context)
        return _response(result, accepted.json, uncacheable_headers(context.loaders.view))

    def _cacheable(self, state: RequestState, prepared: PreparedOperation, media_type: str) -> CacheableRequest | None:
        if prepared.operation.cacheability is None or state.preview:
            return None
        return CacheableRequest(
            self._etags,
            self._cache_control,
            state.caller.view,
            media_type,
            prepared.document.digest,
            prepared.operation.cacheability,
            prepared.name,
            prepared.variables,
            state.headers.get(b"if-none-match", b""),
        )

    def _refuse(
        self, http_request: Request, error: HTTPError | OverLimit | RequestErrors, accepted: Accepted
    ) -> ASGIApp:
        """Return the response of a request that is not executed."""
        if accepted.json is None and not getattr(error, "status", None):
            context = self._context_factory(http_request.scope)
            return EventStream(_once(ExecutionResult(None, graphql_errors(error))), context)
        media_type = accepted.json or JSON
        status = _request_error_status(media_type)
        if isinstance(error, RequestErrors):
            return json_response(result_body(ExecutionResult(None, error.errors)), status, media_type)
        return error_response(error, status, media_type)


async def _once(result: ExecutionResult) -> AsyncGenerator[ExecutionResult, None]:
    yield result


def _cacheable_response(
    scope: Scope, state: RequestState, cacheable: CacheableRequest, result: ExecutionResult, context: Context
) -> HTTPResponse:
    """Return the response to a cacheable request that had no errors, and put it into the response cache."""
    view = context.loaders.view
    policy, revisions = cacheable.policy(context), view.revisions()
    if policy is None:
        return json_response({"data": result.data}, 200, cacheable.media_type, uncacheable_headers(view))
    freshness = policy.freshness()
    response = json_response({"data": result.data}, 200, cacheable.media_type, freshness.headers)
    if revisions and state.cache_key:
        runtime: Runtime = scope["state"]["runtime"]
        stats = runtime.requests.by_operation[state.operation_name]
        runtime.responses.put(state.cache_key, Entry(response.headers, response.body, policy, revisions, stats))
    is_not_modified = freshness.may_revalidate and cacheable.is_satisfied_by(policy)
    return response.not_modified() if is_not_modified else response


def _response(result: ExecutionResult, media_type: str, cache_headers: Headers) -> HTTPResponse:
    """Return a response that must not be cached."""
    status = _access_error_status(result, media_type)
    if status is None:
        status = _request_error_status(media_type) if is_request_error(result) else 200
    return json_response(result_body(result), status, media_type, cache_headers)


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


def _has_document(http_request: Request) -> bool:
    return any(name in http_request.query_params for name in ("query", "documentId", "extensions"))
