"""Subscriptions: server-sent events by the GraphQL-over-SSE protocol, WebSockets by graphql-transport-ws."""

import copy
from collections.abc import Callable
from typing import Any

import strawberry
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLRequestData
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)

from graph.context import Context
from graph.documents import MAX_TOKENS
from graph.http.answers import error_response
from graph.http.media_types import EVENTS
from graph.http.metered import metered_operation
from graph.http.requests import BadRequest
from graph.http.trusted import TrustedDocuments
from graph.telemetry.operations import name_of_text
from graph.telemetry.requests import note_code, note_operation

MakeContext = Callable[[Request | WebSocket], Context]


class _Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """Gives each operation of a connection a context of its own, for loaders are kept no longer than that."""

    view: "Live"

    @metered_operation
    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Run one operation."""
        self.view.note(operation.query, operation.operation_name)
        try:
            self.view.trusted.check(operation.query)
        except BadRequest as bad:
            note_code(bad.code)
            await operation.send_initial_errors([GraphQLError(bad.message, extensions={"code": bad.code})])
            return
        own = copy.copy(self)
        own.context = self.context.anew()
        await super(_Handler, own).run_operation(operation)


class Live(GraphQL[Context, None]):
    """The ASGI application for what is followed, at the same path as everything else."""

    graphql_transport_ws_handler_class = _Handler

    def __init__(self, schema: strawberry.Schema, make_context: MakeContext, trusted: TrustedDocuments) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
        )
        self._core = schema._schema
        self._make_context = make_context
        self.trusted = trusted

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """Return the context of a request or a connection."""
        return self._make_context(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        try:
            await super().__call__(scope, receive, send)
        except BadRequest as bad:
            await error_response(bad.status or 400, bad.code, bad.message)(scope, receive, send)

    async def parse_http_body(self, request: Any) -> GraphQLRequestData | list[GraphQLRequestData]:
        """Read a request, and refuse it where its document is not trusted."""
        asked = await super().parse_http_body(request)
        for each in asked if isinstance(asked, list) else [asked]:
            self.note(each.query or "", each.operation_name)
            self.trusted.check(each.query or "")
        return asked

    def note(self, text: str, operation_name: str | None) -> None:
        """Note what the request under way asks for."""
        note_operation(name_of_text(self._core, text, operation_name, MAX_TOKENS))


def wants_events(request: Request) -> bool:
    """Whether a client asks for server-sent events."""
    return EVENTS in request.headers.get("accept", "")


def is_websocket(scope: Any) -> bool:
    """Whether a connection is a WebSocket."""
    return bool(scope["type"] == "websocket")
