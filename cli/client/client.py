"""A client of the GraphQL API that repeats interrupted requests."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import click
import httpx
import msgspec

from cli.client import Json, Upload
from cli.client.errors import ApiError
from cli.endpoint import is_local
from cli.output import printable

Notify = Callable[[str], None]
"""Shows a line to the user."""

MAX_ATTEMPTS = 40
"""Attempts of a request to a server that has responded before."""

MAX_FIRST_ATTEMPTS = 4
"""Attempts of a request while no server has responded: the address may be wrong."""

FIRST_DELAY_SECONDS = 0.5
"""Delay before the second attempt; each further delay is twice as long."""

MAX_DELAY_SECONDS = 15.0
"""Longest delay between two attempts: some minutes in all, enough for a deployment or an election."""

REQUEST_TIMEOUT_SECONDS = 120
"""Longest time without a byte from the server, unless the caller sets another."""

_CONNECT_TIMEOUT_SECONDS = 10
_TRANSIENT_STATUS = {429, 502, 503, 504}
_TRANSIENT_CODES = {"UNAVAILABLE", "INTERRUPTED"}

_PREFLIGHT = {"GraphQL-Require-Preflight": "1"}
"""Servers may require this header of uploads: a form of another site cannot send it."""


class _TransientError(Exception):
    """An attempt failed, and a later one may succeed; `delay` in seconds if the server asks for one."""

    def __init__(self, reason: str, delay: float | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


class ApiClient:
    """Sends documents to one GraphQL endpoint."""

    def __init__(self, endpoint: str, http: httpx.AsyncClient, notify: Notify) -> None:
        self._endpoint = endpoint
        self._http = http
        self._notify = notify
        self._has_responded = False

    async def execute(
        self, document: str, variables: Json, file: Upload | None = None, timeout: float = REQUEST_TIMEOUT_SECONDS
    ) -> Json:
        """Return the `data` of the response. Retries, so the request must be safe to repeat. Raises `ApiError`.

        `timeout` is in seconds, for each attempt.
        """
        delay = FIRST_DELAY_SECONDS
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._send(document, variables, file, timeout)
            except _TransientError as failure:
                if attempt >= (MAX_ATTEMPTS if self._has_responded else MAX_FIRST_ATTEMPTS):
                    raise ApiError(
                        f"No response from {self._endpoint} after {attempt} attempts ({failure}). "
                        "Is the server running? `pricebook dev` starts one."
                    ) from failure
                pause = failure.delay or random.uniform(delay / 2, delay)  # noqa: S311 - jitter, no secret
                self._notify(f"{failure}; trying again in {pause:.1f} s")
                await asyncio.sleep(pause)
                delay = min(2 * delay, MAX_DELAY_SECONDS)

    async def execute_once(self, document: str, variables: Json) -> Json:
        """Return the `data` of the response to a request that must not be repeated. Raises `ApiError`."""
        try:
            return await self._send(document, variables, None, REQUEST_TIMEOUT_SECONDS)
        except _TransientError as failure:
            raise ApiError(
                f"No response from {self._endpoint} ({failure}). The server may have done it nevertheless: "
                "check with `pricebook events LIST` before you try again."
            ) from failure

    async def _send(self, document: str, variables: Json, file: Upload | None, timeout: float) -> Json:
        try:
            response = await self._post(
                document, variables, file, httpx.Timeout(timeout, connect=_CONNECT_TIMEOUT_SECONDS)
            )
        except httpx.TransportError as error:
            raise _TransientError(f"connection failed ({error or type(error).__name__})") from error
        except httpx.InvalidURL as error:
            raise ApiError(f"{self._endpoint} is not a URL: {error}") from error
        self._has_responded = True
        if response.status_code in _TRANSIENT_STATUS:
            raise _TransientError(f"the server responded {response.status_code}", _retry_after(response))
        return self._data(response)

    def _post(
        self, document: str, variables: Json, file: Upload | None, timeout: httpx.Timeout
    ) -> Awaitable[httpx.Response]:
        operation = msgspec.json.encode({"query": document, "variables": variables})
        if file is None:
            headers = {"Content-Type": "application/json"}
            return self._http.post(self._endpoint, content=operation, headers=headers, timeout=timeout)
        # The GraphQL multipart request specification: these three fields, in this order.
        fields = {
            "operations": (None, operation, "application/json"),
            "map": (None, b'{"0": ["variables.input.file"]}', "application/json"),
            "0": (file.name, file.content, file.media_type),
        }
        return self._http.post(self._endpoint, files=fields, headers=_PREFLIGHT, timeout=timeout)

    def _data(self, response: httpx.Response) -> Json:
        try:
            body = response.json()
            errors, data = body.get("errors"), body.get("data")
        except (ValueError, AttributeError):
            errors, data = None, None
        if errors:
            if transient := _TRANSIENT_CODES.intersection(map(_code, errors)):
                raise _TransientError(f"the server responded {', '.join(transient)}")
            lines = [f"  {_code(error)}: {printable(error['message'])}" for error in errors]
            if any(_code(error) == "UNAUTHENTICATED" for error in errors):
                lines.append("On the command line: set PRICEBOOK_TOKEN to a token or an API key, or use --token.")
            raise ApiError("\n".join([f"{self._endpoint} responded with errors:", *lines]))
        if not isinstance(data, dict):
            raise ApiError(
                f"{self._endpoint} responded {response.status_code}, not GraphQL: {printable(response.text[:200])}"
            )
        return data


def print_notice(line: str) -> None:
    """Print a line to standard error."""
    click.echo(printable(line), err=True)


@asynccontextmanager
async def open_client(
    endpoint: str, token: str | None, notify: Notify = print_notice, *, direct: bool = False, max_connections: int = 2
) -> AsyncIterator[ApiClient]:
    """Open a client of an endpoint, or, if `direct`, of the API in this process. Raises `ApiError`, `BadSettings`."""
    if direct:
        from cli.client.direct import DIRECT_ENDPOINT, open_direct_transport  # noqa: PLC0415 - a second of imports

        async with open_direct_transport() as transport, httpx.AsyncClient(transport=transport) as http:
            yield ApiClient(DIRECT_ENDPOINT, http, notify)
    else:
        async with open_http(endpoint, token, max_connections) as http:
            yield ApiClient(endpoint, http, notify)


def open_http(endpoint: str, token: str | None, max_connections: int) -> httpx.AsyncClient:
    """Return an HTTP client that sends the token as a bearer token. Requests to this machine bypass proxies."""
    limits = httpx.Limits(max_connections=max_connections)
    return httpx.AsyncClient(limits=limits, **http_options(endpoint, token))


def http_options(endpoint: str, token: str | None) -> dict[str, Any]:
    """Return the options of an HTTP client of an endpoint."""
    url = urlsplit(endpoint)
    return {
        "headers": {"Authorization": f"Bearer {token}"} if token else {},
        "trust_env": not is_local(url.hostname or ""),
        "verify": url.scheme == "https",  # to read the certificates of the authorities takes 60 ms
    }


def _code(error: Json) -> str:
    return str((error.get("extensions") or {}).get("code", "ERROR"))


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), 4 * MAX_DELAY_SECONDS) if text.isdigit() else None
