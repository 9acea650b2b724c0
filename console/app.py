"""The application: its pages, signing in and out, and what guards them."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlencode

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from nicegui import ui
from starlette.types import ASGIApp

from console.client.errors import ApiError, Unauthenticated
from console.frame.frame import SIGN_IN, register_page, session_cookie
from console.frame.viewer import FIRST_PAGE, Viewer, is_first_request
from console.pages import PAGES
from console.pages.sign_in import sign_in_page
from console.sessions.caller import Scope
from console.sessions.guard import OriginGuardMiddleware
from console.sessions.sessions import Sessions

MAX_FORM_BYTES = 32 * 1024
"""A token may be large: it names groups, perhaps many."""


class Console:
    """A console of one endpoint.

    With `token`, the first browser that opens the console with `key` acts in the name of that token.
    `loopback_only` is for a console that only this machine can reach.
    """

    def __init__(self, endpoint: str, token: str | None, *, loopback_only: bool) -> None:
        self.key = secrets.token_urlsafe(16) if token else None
        self._endpoint = endpoint
        self._token = token
        self._loopback_only = loopback_only
        self._sessions = Sessions(endpoint)

    def app(self) -> ASGIApp:
        """Return the application. NiceGUI allows one in a process."""
        app = FastAPI(lifespan=self._lifespan, openapi_url=None)
        app.add_api_route("/healthz", _healthz, methods=["GET"])
        app.add_api_route(SIGN_IN, self._sign_in, methods=["POST"])
        app.add_api_route("/sign-out", self._sign_out, methods=["POST"])
        app.add_api_route("/open", self._open, methods=["GET"])
        ui.page(SIGN_IN)(self._sign_in_page)
        for path, page in PAGES.items():
            register_page(path, page.title, page.build, self._sessions)
        ui.run_with(app, title="Pricebook", language="en-US", tailwind=False, reconnect_timeout=30)
        return OriginGuardMiddleware(app, loopback_only=self._loopback_only)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        expiry = asyncio.create_task(self._sessions.expire())
        yield
        expiry.cancel()
        await self._sessions.close()

    async def _sign_in_page(self, request: Request, to: str = "/", problem: str = "") -> Response | None:
        if is_first_request(request):
            return HTMLResponse(FIRST_PAGE)
        if not problem and self._token is None:
            try:
                if session_id := await self._open_without_token():
                    return self._enter(request, session_id, to)
            except ApiError as error:
                problem = error.problems[0].code
        sign_in_page(Viewer.of(request), self._endpoint, to, _problem_text(problem))
        return None

    async def _sign_in(self, request: Request) -> Response:
        form = await _read_form(request)
        if form is None:
            return PlainTextResponse(f"A form has at most {MAX_FORM_BYTES} bytes.", status_code=413)
        token, to = form.get("token", "").strip(), form.get("to", "/")
        if not token:
            return _to_sign_in("EMPTY", to)
        try:
            return self._enter(request, await self._sessions.open(token), to)
        except ApiError as error:
            return _to_sign_in(error.problems[0].code, to)

    async def _sign_out(self, request: Request) -> Response:
        self._sessions.end(request.cookies.get(session_cookie(request)))
        response = _to_sign_in("SIGNED_OUT")
        response.delete_cookie(session_cookie(request))
        return response

    async def _open(self, request: Request, key: str = "") -> Response:
        if self.key is None or not secrets.compare_digest(key.encode(), self.key.encode()):
            return _to_sign_in("KEY_USED")
        self.key = None  # before anything is awaited: it opens one session
        try:
            return self._enter(request, await self._sessions.open(self._token), "/")
        except ApiError as error:
            self.key = key
            return _to_sign_in(error.problems[0].code)

    async def _open_without_token(self) -> str | None:
        """Begin a session without a token where everyone may operate, as with `pricebook dev`. Raises `ApiError`."""
        try:
            session_id = await self._sessions.open(None)
        except Unauthenticated:
            return None
        session = self._sessions.find(session_id)
        if session and (await session.caller()).may_anywhere(Scope.SNAPSHOTS_OPERATE):
            return session_id
        self._sessions.end(session_id)
        return None

    def _enter(self, request: Request, session_id: str, to: str) -> Response:
        response = _redirect(to if to.startswith("/") and not to.startswith(("//", "/\\")) else "/")
        is_https = request.headers.get("origin", "").startswith("https:")  # of the form, whatever proxies are between
        response.set_cookie(session_cookie(request), session_id, httponly=True, samesite="lax", secure=is_https)
        return response


_PROBLEMS = {
    "EMPTY": "Enter an API key or a token.",
    "KEY_USED": "This address has opened the console once already. Enter an API key or a token.",
    "SIGNED_OUT": "You have signed out.",
    "UNAUTHENTICATED": "The API does not accept this token: it is invalid, expired or revoked.",
    "UNREACHABLE": "The API does not respond. Try again in a moment.",
}


async def _read_form(request: Request) -> dict[str, str] | None:
    """Return the fields of a form; None if it is too large."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return None
    return dict(parse_qsl(body.decode(errors="replace")))


async def _healthz() -> Response:
    return PlainTextResponse("ok")


def _problem_text(problem: str) -> str | None:
    return _PROBLEMS.get(problem, "The API does not accept this now. Try again in a moment.") if problem else None


def _to_sign_in(problem: str, to: str = "/") -> Response:
    return _redirect(f"{SIGN_IN}?{urlencode({'problem': problem, 'to': to})}")


def _redirect(to: str) -> Response:
    return RedirectResponse(to, status_code=303)
