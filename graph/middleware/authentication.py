"""Authentication, and the rate limit of each caller. Both precede every response, even one from the response cache."""

import math
from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.documents.operation_name import NO_OPERATION
from graph.http.errors import ServiceUnavailable
from graph.http.response import HTTPResponse, error_response
from graph.identity.callers import ANONYMOUS, Caller, Unauthenticated
from graph.identity.scopes import Grants
from graph.limits.rates import RateLimiter, rate_limited
from graph.middleware.trusted_proxies import TrustedProxies
from graph.request_state import REQUEST_STATE, RequestState
from graph.runtime import Runtime
from storage import Unavailable, explain

_AUTHORIZATION = b"authorization"

_UNKNOWN = Caller(ANONYMOUS, Grants({}))
"""A caller whose credentials have not been looked up."""


class AuthenticationMiddleware:
    """Middleware that identifies the caller of a request or WebSocket, and refuses invalid credentials."""

    def __init__(self, app: ASGIApp, rate_limiter: RateLimiter, proxies: TrustedProxies) -> None:
        self._app = app
        self._rate_limiter = rate_limiter
        self._proxies = proxies

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a connection, or refuse it."""
        runtime: Runtime = scope["state"]["runtime"]
        state: RequestState = scope[REQUEST_STATE]
        state.credentials = state.headers.get(_AUTHORIZATION)
        caller = runtime.authenticator.cached(state.credentials)
        # Unknown credentials count by address, so that guessing them is limited as well.
        state.caller = caller or _UNKNOWN
        if state.caller.name == ANONYMOUS:
            state.address = self._proxies.client_address(scope.get("client"), state)
        if self._rate_limiter.is_limited:
            wait = self._rate_limiter.take_token(state.client)
            if wait:
                return _refuse(runtime, _too_many_requests(wait), scope, receive, send)
        if caller is None:
            return self._identify(runtime, state, scope, receive, send)
        return self._app(scope, receive, send)

    async def _identify(
        self, runtime: Runtime, state: RequestState, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            state.caller = await _caller(runtime, scope)
        except Unauthenticated as error:
            await _refuse(runtime, error_response(error), scope, receive, send)
        except Exception as error:
            known = explain(error)
            if not isinstance(known, Unavailable):
                raise
            await _refuse(runtime, error_response(ServiceUnavailable(known.message)), scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _caller(runtime: Runtime, scope: Scope) -> Caller:
    credentials = [value for name, value in scope["headers"] if name == _AUTHORIZATION]
    if len(credentials) > 1:
        raise Unauthenticated("The request has several Authorization headers.")
    return await runtime.authenticator.identify(credentials[0] if credentials else None)


def _too_many_requests(wait: float) -> HTTPResponse:
    return error_response(rate_limited(), headers={"retry-after": str(math.ceil(wait))})


async def _refuse(runtime: Runtime, response: HTTPResponse, scope: Scope, receive: Receive, send: Send) -> None:
    runtime.requests.by_operation[NO_OPERATION].record(str(response.code), response.status, 0.0)
    await response(scope, receive, send)
