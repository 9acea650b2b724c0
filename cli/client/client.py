"""A client of the GraphQL API for work that must get through: what is broken off is sent again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from cli.client.sync_client import ApiError, bearer, is_on_this_machine

Json = dict[str, Any]
Notice = Callable[[str], None]
"""Called with one line for whoever waits."""

TRIES = 40
FIRST_TRIES = 4
"""As long as the server never answered, the address may just be wrong: give up soon."""

FIRST_DELAY = 0.5
LONGEST_DELAY = 15.0
"""Seconds between two tries, doubled from one to the other: some minutes in all, enough for a deploy or an election."""

_TIMEOUT = httpx.Timeout(120, connect=10)
_TRANSIENT_STATUS = {429, 502, 503, 504}
_TRANSIENT_CODES = {"UNAVAILABLE", "INTERRUPTED"}

# No form on a foreign page can send it, so a server may ask for it before it takes files.
_NO_FORM = {"GraphQL-Require-Preflight": "1"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file for the variable `input.file`."""

    name: str
    content: bytes
    media_type: str


class _Transient(Exception):
    """A try that came to nothing but may succeed later; `delay` in seconds, where the server asks for one."""

    def __init__(self, why: str, delay: float | None = None) -> None:
        super().__init__(why)
        self.delay = delay


class RetryingApi:
    """One GraphQL endpoint. Whatever goes through it must be safe to send twice."""

    def __init__(self, endpoint: str, client: httpx.AsyncClient, notice: Notice) -> None:
        self.endpoint = endpoint
        self._client = client
        self._notice = notice
        self._answered = False

    async def execute(self, document: str, variables: Json, file: Upload | None = None) -> Json:
        """Return the `data` of the answer. Raises `ApiError` when it is refused, or does not come at all."""
        delay = FIRST_DELAY
        tries = 0
        while True:
            tries += 1
            try:
                return await self._try(document, variables, file)
            except _Transient as failure:
                if tries >= (TRIES if self._answered else FIRST_TRIES):
                    raise ApiError(
                        f"No answer from {self.endpoint} after {tries} tries ({failure}). Is the server running?"
                    ) from failure
                pause = failure.delay or random.uniform(delay / 2, delay)  # noqa: S311 - jitter, no secret
                self._notice(f"{failure}; trying again in {pause:.1f} s")
                await asyncio.sleep(pause)
                delay = min(2 * delay, LONGEST_DELAY)

    async def once(self, document: str, variables: Json) -> Json:
        """Return the `data` of the answer to what must not be sent twice. Raises `ApiError`."""
        try:
            return await self._try(document, variables, None)
        except _Transient as failure:
            raise ApiError(
                f"No answer from {self.endpoint} ({failure}). If it was reached, it may have been done all the same: "
                "look with `pricebook events LIST` before you try again."
            ) from failure

    async def _try(self, document: str, variables: Json, file: Upload | None) -> Json:
        try:
            response = await self._send(document, variables, file)
        except httpx.TransportError as error:
            raise _Transient(f"connection broken ({error or type(error).__name__})") from error
        except httpx.InvalidURL as error:
            raise ApiError(f"{self.endpoint} is no address: {error}") from error
        self._answered = True
        if response.status_code in _TRANSIENT_STATUS:
            raise _Transient(f"the server answered {response.status_code}", _retry_after(response))
        return self._data(response)

    def _send(self, document: str, variables: Json, file: Upload | None) -> Awaitable[httpx.Response]:
        operation = msgspec.json.encode({"query": document, "variables": variables})
        if file is None:
            headers = {"Content-Type": "application/json"}
            return self._client.post(self.endpoint, content=operation, headers=headers)
        # The GraphQL multipart request specification: these three parts, in this order.
        parts = {
            "operations": (None, operation, "application/json"),
            "map": (None, b'{"0": ["variables.input.file"]}', "application/json"),
            "0": (file.name, file.content, file.media_type),
        }
        return self._client.post(self.endpoint, files=parts, headers=_NO_FORM)

    def _data(self, response: httpx.Response) -> Json:
        try:
            answer = response.json()
            errors, data = answer.get("errors"), answer.get("data")
        except (ValueError, AttributeError):
            errors, data = None, None
        if errors:
            if transient := _TRANSIENT_CODES.intersection(map(_code, errors)):
                raise _Transient(f"the server answered {', '.join(transient)}")
            lines = [f"  {_code(error)}: {error['message']}" for error in errors]
            if any(_code(error) == "UNAUTHENTICATED" for error in errors):
                lines.append("On the command line: set PRICEBOOK_TOKEN to a token or an API key, or use --token.")
            raise ApiError("\n".join([f"{self.endpoint} answered with errors:", *lines]))
        if not isinstance(data, dict):
            raise ApiError(f"{self.endpoint} answered {response.status_code}, not GraphQL: {response.text[:200]}")
        return data


def open_client(endpoint: str, token: str | None, connections: int) -> httpx.AsyncClient:
    """Return an HTTP client for an endpoint; the token goes out as bearer."""
    return httpx.AsyncClient(
        headers=bearer(token),
        timeout=_TIMEOUT,
        limits=httpx.Limits(max_connections=connections),
        trust_env=not is_on_this_machine(endpoint),
    )


def _code(error: Json) -> str:
    return str((error.get("extensions") or {}).get("code", "ERROR"))


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), 4 * LONGEST_DELAY) if text.isdigit() else None
