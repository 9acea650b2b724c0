"""Who calls: the first thing that is asked of a request, also of one that the response cache could answer."""

import math
from collections.abc import Awaitable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from graph.asgi.headers import headers_of
from graph.documents.operation_name import NO_OPERATION
from graph.http.errors import unauthenticated
from graph.http.response import Answer, error_response
from graph.identity.callers import ANONYMOUS, Caller, Unauthenticated
from graph.limits import rates
from graph.limits.rates import Rates
from graph.middleware.trusted_proxies import TrustedProxies
from graph.runtime import Runtime
from storage import Unavailable, explain

CALLER = "pricebook.caller"
"""Where the caller stands in the scope of a connection."""

_AUTHORIZATION = b"authorization"


class AuthenticationMiddleware:
    """Middleware that identifies the caller of a request, or a WebSocket, and refuses who is not who they say."""

    def __init__(self, app: ASGIApp, buckets: Rates, balancers: TrustedProxies) -> None:
        self._app = app
        self._buckets = buckets
        self._balancers = balancers

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a request, or refuse it."""
        runtime: Runtime = scope["state"]["runtime"]
        caller = runtime.authenticator.known(headers_of(scope).get(_AUTHORIZATION))
        if self._buckets.are_counted:
            wait = self._buckets.wait(self._counted_as(caller, scope))
            if wait:
                return _refuse(runtime, _too_many(wait), rates.CODE, scope, receive, send)
        if caller is None:
            return self._identify(runtime, scope, receive, send)
        scope[CALLER] = caller
        return self._app(scope, receive, send)

    def _counted_as(self, caller: Caller | None, scope: Scope) -> str:
        # Who is not known yet is counted by where they come from: guessing is no faster than asking.
        if caller is not None and caller.name != ANONYMOUS:
            return caller.name
        return f"{ANONYMOUS} {self._balancers.client(scope)}"

    async def _identify(self, runtime: Runtime, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[CALLER] = await _identified(runtime, scope)
        except Unauthenticated as refused:
            await _refuse(runtime, unauthenticated(refused), refused.code, scope, receive, send)
        except Exception as error:
            known = explain(error)
            if not isinstance(known, Unavailable):
                raise
            answer = error_response(503, known.code, known.message)
            await _refuse(runtime, answer, known.code, scope, receive, send)
        else:
            await self._app(scope, receive, send)


def caller_of(scope: Scope) -> Caller:
    """Return who sends a request, or opened a WebSocket."""
    caller: Caller = scope[CALLER]
    return caller


async def _identified(runtime: Runtime, scope: Scope) -> Caller:
    credentials = [value for name, value in scope["headers"] if name == _AUTHORIZATION]
    if len(credentials) > 1:
        raise Unauthenticated("A request has one Authorization header.")
    return await runtime.authenticator.identify(credentials[0] if credentials else None)


def _too_many(wait: float) -> Answer:
    return error_response(429, rates.CODE, rates.MESSAGE, {"retry-after": str(math.ceil(wait))})


async def _refuse(runtime: Runtime, answer: Answer, code: str, scope: Scope, receive: Receive, send: Send) -> None:
    runtime.requests.by_operation[NO_OPERATION].record(code, answer.status, 0.0)
    if scope["type"] == "http":
        await answer(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        denial = Response(answer.body, answer.status)
        await WebSocket(scope, receive, send).send_denial_response(denial)
    else:
        await WebSocket(scope, receive, send).close(1008, "refused")
