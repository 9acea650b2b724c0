"""Subscriptions: server-sent events by the GraphQL-over-SSE protocol, WebSockets by graphql-transport-ws."""

import copy
from collections.abc import Callable
from typing import Any

import strawberry
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)

from graph.context import Context

MakeContext = Callable[[Request | WebSocket], Context]


class _Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """Gives each operation of a connection a context of its own, for loaders are kept no longer than that."""

    view: "Live"

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Run one operation."""
        own = copy.copy(self)
        own.context = self.context.anew()
        await super(_Handler, own).run_operation(operation)


class Live(GraphQL[Context, None]):
    """The ASGI application for what is followed, at the same path as everything else."""

    graphql_transport_ws_handler_class = _Handler

    def __init__(self, schema: strawberry.Schema, make_context: MakeContext) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
        )
        self._make_context = make_context

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """Return the context of a request or a connection."""
        return self._make_context(request)


def wants_events(request: Request) -> bool:
    """Whether a client asks for server-sent events."""
    return "text/event-stream" in request.headers.get("accept", "")


def is_websocket(scope: Any) -> bool:
    """Whether a connection is a WebSocket."""
    return bool(scope["type"] == "websocket")
