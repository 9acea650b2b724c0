"""WebSockets, by the graphql-transport-ws protocol. Each operation goes through the pipeline, as any request does."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack, aclosing, suppress
from typing import Any, cast

import msgspec
from graphql import OperationType
from starlette.types import Receive, Scope, Send
from strawberry.http.websocket_origin import is_same_origin, normalize_allowed_origins, normalize_origin

from graph.context import Context, ContextFactory
from graph.http.errors import OriginNotAllowed
from graph.http.pipeline import Pipeline, PreparedOperation
from graph.http.requests import decode_request
from graph.http.response import error_response, graphql_errors, result_body
from graph.http.websocket_messages import (
    PROTOCOL,
    CloseCode,
    Complete,
    ConnectionInit,
    Ping,
    Subscribe,
    decode_message,
)
from graph.identity import authenticator, previews
from graph.identity.callers import ANONYMOUS, AccessError, Caller, Unauthenticated
from graph.identity.previews import find_preview
from graph.limits.limits import OverLimit
from graph.limits.rates import RateLimiter, rate_limited
from graph.limits.slots import Slots
from graph.request_state import REQUEST_STATE, RequestState, current_request
from graph.runtime import Runtime
from graph.schema.errors import format_error
from storage import Unavailable, explain, is_cancelled

INIT_TIMEOUT_SECONDS = 5.0
"""Time for a client to send `connection_init`."""

MAX_PENDING = 1000
MAX_PENDING_PER_CALLER = 20
"""Limits of the connections that have not sent their credentials, of a process and of an address."""

MAX_CONNECTIONS_PER_CALLER = 100
"""Limit of the connections of a caller. The server limits those of a process."""

MAX_OPERATIONS = 100
"""Operations of a connection at once."""

MAX_REASON_BYTES = 123
"""Bytes of the reason in a close frame (RFC 6455, section 5.5)."""

_encode = msgspec.json.Encoder().encode


class WebSocketTransport:
    """The ASGI application for WebSockets: the handshake, and the limits over all connections.

    Web pages of `origins` may connect, besides those of this server.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        context_factory: ContextFactory,
        subscriptions: Slots,
        rate_limiter: RateLimiter,
        origins: Sequence[str],
    ) -> None:
        self.pipeline = pipeline
        self.context_factory = context_factory
        self.subscriptions = subscriptions
        self.rate_limiter = rate_limiter
        self.pending = Slots("unauthenticated WebSockets", "TOO_MANY_WEBSOCKETS", MAX_PENDING, MAX_PENDING_PER_CALLER)
        self.connections = Slots("WebSockets", "TOO_MANY_WEBSOCKETS", sys.maxsize, MAX_CONNECTIONS_PER_CALLER)
        self._origins = normalize_allowed_origins(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection, or refuse its handshake."""
        state: RequestState = scope[REQUEST_STATE]
        try:
            self._check_origin(state)
            with ExitStack() as slots:
                if state.caller.name == ANONYMOUS:
                    slots.enter_context(self.pending.slot(state.client))
                await _Connection(self, scope, receive, send, slots).serve()
        except (OriginNotAllowed, OverLimit) as error:
            await error_response(error)(scope, receive, send)

    def _check_origin(self, state: RequestState) -> None:
        # Only browsers send the header, and they let pages of any site connect.
        origin = state.header(b"origin")
        if (
            origin
            and not is_same_origin(origin, state.header(b"host"))
            and normalize_origin(origin) not in self._origins
        ):
            raise OriginNotAllowed("Pages of this origin may not connect. Add it to PRICEBOOK_CORS_ORIGINS.")


def _too_many_operations() -> OverLimit:
    message = f"The connection has {MAX_OPERATIONS} operations in progress. Wait until some are complete."
    return OverLimit("TOO_MANY_OPERATIONS", message, status=429)


class _Connection:
    """One connection. `slots` holds its slot: at first a pending one, then one of the caller."""

    def __init__(
        self, transport: WebSocketTransport, scope: Scope, receive: Receive, send: Send, slots: ExitStack
    ) -> None:
        self._transport = transport
        self._scope = scope
        self._receive = receive
        self._send = send
        self._slots = slots
        self._runtime: Runtime = scope["state"]["runtime"]
        self._state: RequestState = scope[REQUEST_STATE]
        self._is_initialized = False
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """Those of all operations, also of those that the client has ended."""
        self._subscriptions: set[asyncio.Task[None]] = set()
        self._closed: asyncio.Future[tuple[CloseCode, str]] = asyncio.get_running_loop().create_future()
        """The code and reason with which this end closes the connection."""

    async def serve(self) -> None:
        """Serve the connection until either end closes it."""
        if PROTOCOL not in self._scope.get("subprotocols", ()):
            await self._send({"type": "websocket.accept"})
            self._close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, f"Use the subprotocol {PROTOCOL}.")
        else:
            await self._send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            await self._serve_messages()
        if self._closed.done():
            code, reason = self._closed.result()
            short = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
            await self._send({"type": "websocket.close", "code": code, "reason": short})

    async def _serve_messages(self) -> None:
        timer = asyncio.get_running_loop().call_later(INIT_TIMEOUT_SECONDS, self._close_uninitialized)
        receiver = asyncio.create_task(self._receive_messages())
        closer = asyncio.create_task(self._close_when_drained())
        try:
            while not (receiver.done() or self._closed.done()):
                await asyncio.wait(
                    (receiver, self._closed),
                    timeout=authenticator.RECHECK_INTERVAL_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if self._is_initialized:
                    await self._authenticate()
        finally:
            timer.cancel()
            tasks = [receiver, closer, *self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not receiver.cancelled():
            receiver.result()

    def _close(self, code: CloseCode, reason: str) -> None:
        if not self._closed.done():
            self._closed.set_result((code, reason))

    async def _close_when_drained(self) -> None:
        """Close the connection when the process drains: at once, but for queries and mutations in progress."""
        await self._runtime.drain.subscriptions_ended.wait()
        for task in self._subscriptions:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._close(CloseCode.SERVICE_RESTART, "The server restarts. Connect again.")

    @property
    def _is_drained(self) -> bool:
        return self._runtime.drain.subscriptions_ended.is_set()

    def _close_uninitialized(self) -> None:
        if not self._is_initialized:
            self._close(CloseCode.INIT_TIMEOUT, "Send `connection_init` first.")

    async def _receive_messages(self) -> None:
        while not self._closed.done():
            received = await self._receive()
            if received["type"] == "websocket.disconnect":
                return
            if received["type"] == "websocket.receive":
                await self._handle_text(received.get("text"))

    async def _handle_text(self, text: str | None) -> None:
        try:
            message = decode_message(text or "")
        except (msgspec.DecodeError, RecursionError) as error:
            self._close(CloseCode.INVALID_MESSAGE, f"Invalid message: {error}")
            return
        is_over_rate = bool(self._transport.rate_limiter.take_token(self._state.client))
        match message:
            case Subscribe():
                await self._handle_subscribe(message, is_over_rate=is_over_rate)
            case _ if is_over_rate:
                self._close(CloseCode.TRY_AGAIN_LATER, rate_limited().message)
            case ConnectionInit():
                await self._handle_init(message)
            case Ping():
                await self._send_message({"type": "pong"})
            case Complete():
                operation = self._operations.pop(message.id, None)
                if operation:
                    operation.cancel()

    async def _handle_init(self, message: ConnectionInit) -> None:
        """Authenticate by the payload, because browsers cannot set headers of a handshake."""
        if self._is_initialized:
            self._close(CloseCode.TOO_MANY_REQUESTS, "The connection is initialized already.")
            return
        payload = message.payload or {}
        credentials, preview_token = payload.get("Authorization"), payload.get(previews.HEADER)
        if isinstance(credentials, str):
            self._state.credentials = credentials.encode("latin-1", "replace")
        if isinstance(preview_token, str):
            self._state.preview_token = preview_token.encode("latin-1", "replace")
        if not await self._authenticate():
            return
        self._slots.close()
        try:
            self._slots.enter_context(self._transport.connections.slot(self._state.client))
        except OverLimit as error:
            self._close(CloseCode.TRY_AGAIN_LATER, error.message)
            return
        self._is_initialized = True
        await self._send_message({"type": "connection_ack"})

    async def _authenticate(self) -> Caller | None:
        """Identify the caller again, because credentials may be revoked. Close the connection if they were."""
        try:
            caller = await self._runtime.authenticator.identify(self._state.credentials)
            token = self._state.preview_token
            preview = None if token is None else await find_preview(self._runtime.store.previews, token)
        except AccessError as error:
            self._close(CloseCode.FORBIDDEN, error.message)
            return None
        except Exception as error:
            known = explain(error)
            if not isinstance(known, Unavailable):
                raise
            self._close(CloseCode.TRY_AGAIN_LATER, known.message)
            return None
        if not (caller.has_grants or preview):
            self._close(CloseCode.FORBIDDEN, Unauthenticated().message)
            return None
        self._state.caller, self._state.preview = caller, preview
        return caller

    async def _handle_subscribe(self, message: Subscribe, *, is_over_rate: bool) -> None:
        if not self._is_initialized:
            self._close(CloseCode.UNAUTHORIZED, "Send `connection_init` first.")
        elif message.id in self._operations:
            self._close(CloseCode.ID_IN_USE, f"The id {message.id[:50]} is in use.")
        elif is_over_rate:
            await self._send_error(message.id, rate_limited(), self._state.for_operation())
        elif len(self._tasks) >= MAX_OPERATIONS:
            await self._send_error(message.id, _too_many_operations(), self._state.for_operation())
        elif not self._is_drained:  # otherwise the client sends it again on its next connection
            task = asyncio.create_task(self._run_operation(message.id, bytes(message.payload)))
            self._operations[message.id] = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run_operation(self, id_: str, payload: bytes) -> None:
        """Run an operation in a task of its own, and count it as a request."""
        state = self._state.for_operation()
        current_request.set(state)
        with self._runtime.requests.track(state):
            try:
                is_complete = await self._send_results(id_, payload, state)
                if is_complete and self._operations.pop(id_, None) is not None:
                    await self._send_message({"type": "complete", "id": id_})
            except OSError:  # the client has disconnected
                pass
            except Exception as error:
                if self._operations.pop(id_, None) is not None:
                    with suppress(OSError):
                        await self._send_error(id_, error, state)

    async def _send_results(self, id_: str, payload: bytes, state: RequestState) -> bool:
        """Send the results of an operation. Return whether it is complete.

        It is not if the credentials are revoked or the process drains.
        """
        if not await self._authenticate():
            return False
        state.caller, state.preview = self._state.caller, self._state.preview
        prepared = await self._transport.pipeline.prepare(decode_request(payload, "payload"), state)
        context = self._transport.context_factory({**self._scope, REQUEST_STATE: state})
        is_subscription = prepared.kind is OperationType.SUBSCRIPTION
        if not is_subscription:
            return await self._send_each(id_, prepared, state, context)
        if self._is_drained:
            return False
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._subscriptions.add(task)
        task.add_done_callback(self._subscriptions.discard)
        with self._transport.subscriptions.slot(state.client):
            return await self._send_each(id_, prepared, state, context)

    async def _send_each(self, id_: str, prepared: PreparedOperation, state: RequestState, context: Context) -> bool:
        async with aclosing(self._transport.pipeline.subscribe(prepared, context)) as results:
            async for result in results:
                caller = await self._authenticate()
                if caller is None:
                    return False
                context.caller = caller
                body = result_body(result)
                state.add_first_error(body)
                await self._send_message({"type": "next", "id": id_, "payload": body})
        return not is_cancelled()

    async def _send_error(self, id_: str, error: Exception, state: RequestState) -> None:
        errors = [format_error(each) for each in graphql_errors(error)]
        state.add_error(errors[0]["extensions"]["code"])
        await self._send_message({"type": "error", "id": id_, "payload": errors})

    async def _send_message(self, message: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": _encode(message).decode()})
