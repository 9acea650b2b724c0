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

from graph.asgi.headers import header
from graph.asgi.media_types import EVENTS
from graph.asgi.request_ids import with_request_id
from graph.context import Context
from graph.documents.document import Documents
from graph.documents.operation_name import NO_OPERATION
from graph.http.errors import BadRequest
from graph.http.response import error_response
from graph.http.trusted_documents import TrustedDocuments
from graph.identity.callers import Caller, Unauthenticated
from graph.limits.limits import Limits, OverLimit
from graph.limits.rates import Rates
from graph.limits.subscriptions import Subscriptions
from graph.middleware.authentication import caller_of
from graph.middleware.metrics import metered_operation
from graph.runtime import Runtime
from graph.telemetry.requests import note_code, note_operation, note_status

MAX_REASON = 120
"""A WebSocket says so much at its end (RFC 6455: 123 bytes)."""

_TIME = "pricebook.time"

MakeContext = Callable[[Request | WebSocket], Context]


class _Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """Gives each operation of a connection a context of its own, for loaders are kept no longer than that."""

    view: "StreamingTransport"

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Begin, with the credentials of the payload: browsers cannot send headers with a WebSocket."""
        try:
            self.context.caller = await _caller(cast("ASGIWebSocketAdapter", self.websocket).ws, message.get("payload"))
        except Unauthenticated as refused:
            await self.websocket.close(4403, refused.message[:MAX_REASON])
            return
        await super().handle_connection_init(message)

    @metered_operation
    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Run one operation."""
        try:
            seconds = self.view.check(operation.query, operation.variables, operation.operation_name)
            self.view.rates.check(self.context.caller.name)
            with self.view.subscriptions.slot(self.context.caller.name):
                own = copy.copy(self)
                own.context = self.context.anew()
                async with self.view.within(seconds):
                    await super(_Handler, own).run_operation(operation)
        except (BadRequest, OverLimit) as bad:
            note_code(bad.code)
            await operation.send_initial_errors([GraphQLError(bad.message, extensions={"code": bad.code})])


class StreamingTransport(GraphQL[Context, None]):
    """The ASGI application for what is followed, at the same path as everything else."""

    graphql_transport_ws_handler_class = _Handler

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: MakeContext,
        trusted: TrustedDocuments,
        documents: Documents,
        limits: Limits,
        subscriptions: Subscriptions,
        rates: Rates | None,
        origins: Sequence[str],
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            max_subscriptions_per_connection=None,  # a caller's are limited, over all of their connections
            allowed_origins=origins,
        )
        self._make_context = make_context
        self._trusted = trusted
        self._documents = documents
        self._limits = limits
        self.subscriptions = subscriptions
        self.rates = rates or Rates(0)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """Return the context of a request or a connection."""
        return self._make_context(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        try:
            if is_websocket(scope):
                await super().__call__(scope, receive, send)
                return
            with self.subscriptions.slot(caller_of(scope).name):
                async with self.within(None) as time:
                    await super().__call__({**scope, _TIME: time}, receive, _with_id(scope, send))
        except (BadRequest, OverLimit) as bad:
            await error_response(bad.status or 400, bad.code, bad.message)(scope, receive, send)

    @asynccontextmanager
    async def within(self, seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
        """Let the body take so long at most. Raises `OverLimit` when it takes longer."""
        try:
            async with asyncio.timeout(seconds) as time:
                yield time
        except TimeoutError as error:
            if not time.expired():
                raise
            raise self._limits.timeout() from error

    async def parse_http_body(self, request: Any) -> GraphQLRequestData | list[GraphQLRequestData]:
        """Read a request, and refuse it where its document may not be executed."""
        asked = await super().parse_http_body(request)
        for each in asked if isinstance(asked, list) else [asked]:
            seconds = self.check(each.query or "", each.variables, each.operation_name)
            if seconds is not None:
                time: asyncio.Timeout = request.request.scope[_TIME]
                time.reschedule(asyncio.get_running_loop().time() + seconds)
        return asked

    def check(self, text: str, variables: Mapping[str, Any] | None, operation_name: str | None) -> float | None:
        """Return for how many seconds a document may be executed: a query, for what is followed has no end.

        Raises `BadRequest`, `OverLimit`. What is not valid is told by who executes it.
        """
        document = self._documents.get(text)
        operation = document.operation(operation_name)
        note_operation(operation.name if operation else NO_OPERATION)
        self._trusted.check(text)
        if document.over_limit:
            raise document.over_limit
        if operation is None:
            return None
        operation.cost.check(dict(variables or {}))
        return self._limits.seconds if operation.kind is OperationType.QUERY else None


def wants_events(scope: Scope) -> bool:
    """Whether a client asks for server-sent events."""
    return EVENTS in header(scope, b"accept")


def is_websocket(scope: Any) -> bool:
    """Whether a connection is a WebSocket."""
    return bool(scope["type"] == "websocket")


def _with_id(scope: Scope, send: Send) -> Send:
    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            note_status(scope, message["status"])
            message = {**message, "headers": with_request_id(scope, message["headers"])}
        await send(message)

    return send_with_id


async def _caller(websocket: WebSocket, payload: object) -> Caller:
    """Return who opened a connection: by the `Authorization` of its payload, else as the handshake had it."""
    given = payload.get("Authorization") if isinstance(payload, dict) else None
    runtime: Runtime = websocket.state.runtime
    if isinstance(given, str):
        return await runtime.authenticator.identify(given.encode("latin-1", "replace"))
    caller = caller_of(websocket.scope)
    if not caller.may_ask:
        raise Unauthenticated
    return caller
