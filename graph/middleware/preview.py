"""The header `Pricebook-Preview`: looked up before anything is executed; no cache keeps the response."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.http.errors import ServiceUnavailable
from graph.http.response import PRIVATE_NO_STORE, error_response
from graph.identity.previews import HEADER_NAME, PreviewInvalid, find_preview
from graph.request_state import REQUEST_STATE, RequestState
from graph.runtime import Runtime
from storage import Unavailable, explain


class PreviewMiddleware:
    """Middleware that responds 401 to an invalid token. Repeated headers are joined, and so are never valid."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an HTTP request or a WebSocket."""
        state: RequestState = scope[REQUEST_STATE]
        state.preview_token = state.headers.get(HEADER_NAME)
        if state.preview_token is None:
            await self._app(scope, receive, send)
            return
        private = _uncached(send)
        runtime: Runtime = scope["state"]["runtime"]
        try:
            state.preview = await find_preview(runtime.store.previews, state.preview_token)
        except PreviewInvalid as error:
            await error_response(error)(scope, receive, private)
            return
        except Exception as error:
            known = explain(error)
            if not isinstance(known, Unavailable):
                raise
            await error_response(ServiceUnavailable(known.message))(scope, receive, private)
            return
        await self._app(scope, receive, private)


def _uncached(send: Send) -> Send:
    """Return a `send` that forbids all caches to store the response, also that of an error."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [each for each in message["headers"] if each[0] not in (b"cache-control", b"etag")]
            message = {**message, "headers": [*kept, PRIVATE_NO_STORE]}
        await send(message)

    return sending
