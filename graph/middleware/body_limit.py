"""Limits request bodies: 413 before reading if `Content-Length` is over the limit, otherwise once the body exceeds it.

Only callers who may write may send long bodies. The memory for all bodies in progress is limited too.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.http.errors import BodyTooLarge
from graph.http.response import error_response
from graph.limits.bodies import BodyBudget, BodyLimit, BodyLimits
from graph.limits.limits import OverLimit
from graph.request_state import REQUEST_STATE, RequestState


class BodyLimitMiddleware:
    """Middleware that limits the bytes of a body, by the caller and whether it is multipart."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits
        self._budget = BodyBudget(limits.in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        state: RequestState = scope[REQUEST_STATE]
        is_upload = state.header(b"content-type").lower().startswith("multipart/")
        limit = self._limits.large(is_upload=is_upload) if state.caller.may_write else self._limits.small()
        length = state.headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:19]) > limit.bytes:
            await error_response(BodyTooLarge(limit))(scope, receive, send)
            return
        budget = None if is_upload and state.caller.may_write else self._budget
        body = _Body(state, receive, limit, budget)
        try:
            if length.isdigit():
                await body.reserve(int(length))
            await self._app(scope, body.receive, send)
        except (BodyTooLarge, OverLimit) as error:
            await error_response(error)(scope, receive, send)
        finally:
            body.release()


class _Body:
    """The body of a request. `budget` is None if it is not held in memory."""

    __slots__ = ("_budget", "_client", "_limit", "_receive", "_received", "_reserved", "_state")

    def __init__(self, state: RequestState, receive: Receive, limit: BodyLimit, budget: BodyBudget | None) -> None:
        self._state = state
        self._receive = receive
        self._limit = limit
        self._budget = budget
        self._client = state.client
        self._received = 0
        self._reserved = 0
        state.release_body = self.release

    async def receive(self) -> Message:
        """Receive a message. Raises `BodyTooLarge`, and `OverLimit` if too many bodies are in memory."""
        message = await self._receive()
        state = self._state
        if not state.is_lingering:
            self._received += len(message.get("body", b""))
            state.body_bytes = self._received
            if self._received > self._limit.bytes:
                raise BodyTooLarge(self._limit)
            if self._received > self._reserved:
                await self.reserve(self._received)
        if not message.get("more_body", False):
            state.is_body_received = True
        return message

    async def reserve(self, size: int) -> None:
        """Reserve memory for a body of this size. Raises `OverLimit`."""
        if self._budget is not None:
            await self._budget.reserve(self._client, size - self._reserved)
            self._reserved = size

    def release(self) -> None:
        """Give the memory of the body back to the budget."""
        if self._budget is not None and self._reserved:
            self._budget.release(self._client, self._reserved)
            self._reserved = 0
