"""Server-sent events, in the distinct connections mode of the GraphQL-over-SSE protocol."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext

import msgspec
from graphql import ExecutionResult
from starlette.types import Receive, Scope, Send

from graph.asgi.media_types import EVENTS
from graph.context import Context
from graph.http.response import PRIVATE_NO_STORE, VARY, error_response, graphql_errors, result_body
from graph.identity import authenticator
from graph.identity.previews import find_preview
from graph.limits.limits import OverLimit
from graph.request_state import REQUEST_STATE, RequestState
from graph.runtime import Runtime

_HEADERS = [
    (b"content-type", f"{EVENTS}; charset=utf-8".encode()),
    VARY,
    PRIVATE_NO_STORE,
    (b"x-accel-buffering", b"no"),
]
_COMMENT = b":\n\n"
_COMPLETE = b"event: complete\ndata: \n\n"

_encode = msgspec.json.Encoder().encode


class EventStream:
    """The response that sends each result of an operation as an event; an ASGI application.

    A subscription occupies `slot` while its stream is open; without a free slot the response is an error. Other
    operations have no slot.
    """

    def __init__(
        self,
        results: AsyncGenerator[ExecutionResult, None],
        context: Context,
        slot: AbstractContextManager[None] | None = None,
    ) -> None:
        self._results = results
        self._context = context
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the operation is complete, the credentials are revoked, or the client disconnects.

        A subscription also ends when the process drains, without the event that completes it.
        """
        try:
            with self._slot or nullcontext():
                await self._send_stream(scope, receive, send)
        except OverLimit as error:
            await error_response(error)(scope, receive, send)

    async def _send_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: RequestState = scope[REQUEST_STATE]
        state.status = 200
        await send({"type": "http.response.start", "status": 200, "headers": state.with_request_id(_HEADERS)})
        disconnect = asyncio.create_task(_wait_for_disconnect(receive))
        results = asyncio.create_task(self._send_results(scope, send))
        tasks = {disconnect, results, asyncio.create_task(self._send_comments(scope, send))}
        drain = asyncio.create_task(_wait_for_drain(scope)) if self._slot else None
        if drain:
            tasks.add(drain)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if disconnect in done:
            return
        for error in filter(None, (task.exception() for task in done)):
            if not isinstance(error, Exception):
                raise error
            await _send_result(ExecutionResult(None, graphql_errors(error)), state, send)
        is_interrupted = drain in done and results not in done
        await send({"type": "http.response.body", "body": b"" if is_interrupted else _COMPLETE})

    async def _send_results(self, scope: Scope, send: Send) -> None:
        async with aclosing(self._results) as results:
            async for result in results:
                await self._authenticate(scope)
                await _send_result(result, scope[REQUEST_STATE], send)

    async def _send_comments(self, scope: Scope, send: Send) -> None:
        """Check the credentials, and send comments, which keep proxies from closing a silent stream."""
        while True:
            await asyncio.sleep(authenticator.RECHECK_INTERVAL_SECONDS)
            await self._authenticate(scope)
            await send({"type": "http.response.body", "body": _COMMENT, "more_body": True})

    async def _authenticate(self, scope: Scope) -> None:
        """Check the credentials and the preview token again, which may have been revoked.

        Raises `Unauthenticated`, `PreviewInvalid`, `Unavailable`.
        """
        runtime: Runtime = scope["state"]["runtime"]
        state: RequestState = scope[REQUEST_STATE]
        self._context.caller = await runtime.authenticator.identify(state.credentials)
        if state.preview_token is not None:
            state.preview = await find_preview(runtime.store.previews, state.preview_token)


async def _send_result(result: ExecutionResult, state: RequestState, send: Send) -> None:
    body = result_body(result)
    state.add_first_error(body)
    await send({"type": "http.response.body", "body": b"event: next\ndata: %b\n\n" % _encode(body), "more_body": True})


async def _wait_for_drain(scope: Scope) -> None:
    runtime: Runtime = scope["state"]["runtime"]
    await runtime.drain.subscriptions_ended.wait()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
