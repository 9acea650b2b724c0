"""Subscriptions: server-sent events by the GraphQL-over-SSE protocol, WebSockets by graphql-transport-ws."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import strawberry
from graphql import GraphQLError, OperationType
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.http import GraphQLRequestData
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import ConnectionInitMessage

from graph.context import Context
from graph.documents.document import Documents
from graph.documents.operation_name import NO_OPERATION
from graph.http.errors import HTTPError
from graph.http.response import error_response
from graph.http.trusted_documents import TrustedDocuments
from graph.identity.callers import Caller, Unauthenticated
from graph.limits.limits import Limits, OverLimit
from graph.limits.rates import RateLimiter
from graph.limits.subscriptions import Subscriptions
from graph.request_state import REQUEST_STATE, RequestState, current_request
from graph.runtime import Runtime

MAX_CLOSE_REASON_LENGTH = 120
"""Number of characters of the reason in a close frame, which has room for 123 bytes (RFC 6455)."""

FORBIDDEN = 4403
"""Close code of graphql-transport-ws."""

ContextFactory = Callable[[Request | WebSocket], Context]


class _Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """The handler of one connection. Each operation gets a context of its own, and with it new loaders."""

    view: "StreamingTransport"

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Authenticate by the payload, because browsers cannot send headers with a WebSocket."""
        try:
            self.context.caller = await _caller(self._websocket, message.get("payload"))
        except Unauthenticated as error:
            await self.websocket.close(FORBIDDEN, error.message[:MAX_CLOSE_REASON_LENGTH])
            return
        await super().handle_connection_init(message)

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Run one operation, in a task of its own, and count it."""
        scope = self._websocket.scope
        state = cast("RequestState", scope[REQUEST_STATE]).for_operation()
        current_request.set(state)
        with cast("Runtime", scope["state"]["runtime"]).requests.track(state):
            try:
                await self._run(state, operation)
            except (HTTPError, OverLimit) as error:
                state.add_error(error.code)
                await operation.send_initial_errors([GraphQLError(error.message, extensions={"code": error.code})])

    async def _run(self, state: RequestState, operation: Operation[Context, None]) -> None:
        seconds = self.view.check(state, operation.query, operation.variables, operation.operation_name)
        caller = self.context.caller.name
        self.view.rate_limiter.check(caller)
        with self.view.subscriptions.slot(caller):
            handler = copy.copy(self)
            handler.context = self.context.for_operation()
            async with self.view.time_limit(seconds):
                await super(_Handler, handler).run_operation(operation)

    @property
    def _websocket(self) -> WebSocket:
        return cast("ASGIWebSocketAdapter", self.websocket).ws


class StreamingTransport(GraphQL[Context, None]):
    """The ASGI application for event streams and WebSockets."""

    graphql_transport_ws_handler_class = _Handler

    def __init__(
        self,
        schema: strawberry.Schema,
        context_factory: ContextFactory,
        trusted: TrustedDocuments,
        documents: Documents,
        limits: Limits,
        subscriptions: Subscriptions,
        rate_limiter: RateLimiter | None,
        origins: Sequence[str],
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            max_subscriptions_per_connection=None,  # the limit is per caller, over all connections
            allowed_origins=origins,
        )
        self._context_factory = context_factory
        self._trusted = trusted
        self._documents = documents
        self._limits = limits
        self.subscriptions = subscriptions
        self.rate_limiter = rate_limiter or RateLimiter(0)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """Return the context of a request or a connection."""
        return self._context_factory(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] == "websocket":
            await super().__call__(scope, receive, send)
            return
        state: RequestState = scope[REQUEST_STATE]
        try:
            with self.subscriptions.slot(state.caller.name):
                async with self.time_limit(None) as state.timeout:
                    await super().__call__(scope, receive, _recorded(state, send))
        except (HTTPError, OverLimit) as error:
            await error_response(error)(scope, receive, send)

    @asynccontextmanager
    async def time_limit(self, seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
        """Limit the time of the body. Raises `OverLimit` if it takes longer."""
        try:
            async with asyncio.timeout(seconds) as timeout:
                yield timeout
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise self._limits.timeout() from error

    async def parse_http_body(self, request: Any) -> GraphQLRequestData | list[GraphQLRequestData]:
        """Parse a request, check its documents, and set the time limit of queries."""
        parsed = await super().parse_http_body(request)
        state = cast("RequestState", current_request.get())  # the adapter does not expose the scope
        for data in parsed if isinstance(parsed, list) else [parsed]:
            seconds = self.check(state, data.query or "", data.variables, data.operation_name)
            if seconds is not None and state.timeout is not None:
                state.timeout.reschedule(asyncio.get_running_loop().time() + seconds)
        return parsed

    def check(
        self, state: RequestState, text: str, variables: Mapping[str, Any] | None, operation_name: str | None
    ) -> float | None:
        """Return the time limit of a query in seconds; None for other operations, which have none.

        Raises `HTTPError`, `OverLimit`. Validation errors are reported when the operation is executed.
        """
        document = self._documents.get(text)
        operation = document.operation(operation_name)
        state.operation_name = operation.name if operation else NO_OPERATION
        self._trusted.check(text)
        if document.over_limit:
            raise document.over_limit
        if operation is None:
            return None
        operation.cost.check(dict(variables or {}))
        return self._limits.seconds if operation.kind is OperationType.QUERY else None


def _recorded(state: RequestState, send: Send) -> Send:
    """Return a `send` that records the status of the response and adds the request id."""

    async def recorded(message: Message) -> None:
        if message["type"] == "http.response.start":
            state.status = message["status"]
            message = {**message, "headers": state.with_request_id(message["headers"])}
        await send(message)

    return recorded


async def _caller(websocket: WebSocket, payload: object) -> Caller:
    """Return the caller by the `Authorization` in the payload, or else that of the handshake."""
    credentials = payload.get("Authorization") if isinstance(payload, dict) else None
    if isinstance(credentials, str):
        runtime: Runtime = websocket.scope["state"]["runtime"]
        return await runtime.authenticator.identify(credentials.encode("latin-1", "replace"))
    state: RequestState = websocket.scope[REQUEST_STATE]
    if not state.caller.has_grants:
        raise Unauthenticated
    return state.caller
