"""A client of one GraphQL endpoint, in the name of one caller."""

import json
from collections.abc import AsyncGenerator
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx
import msgspec

from console.client import Json
from console.client.errors import ApiError, Problem, Refused, Unauthenticated, Unreachable, code_of, error_of

REQUEST_TIMEOUT_SECONDS = 30
"""Longest time without a byte from the server. A mutation responds within 20 seconds."""

STREAM_TIMEOUT_SECONDS = 60
"""Longest silence of a subscription; the server sends a comment more often."""

MAX_CONNECTIONS = 64
"""Connections of one caller: a page sends a few requests, and a few pages may follow a batch each."""


class ApiClient:
    """Sends documents in the name of the caller that `token` identifies; without one, of the anonymous caller."""

    def __init__(self, endpoint: str, token: str | None) -> None:
        url = urlsplit(endpoint)
        self.endpoint = endpoint
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(REQUEST_TIMEOUT_SECONDS, connect=5),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            trust_env=not _is_local(url.hostname or ""),
            verify=url.scheme == "https",
        )

    async def query(self, document: str, **variables: object) -> Json:
        """Return the `data` of a query. Raises `ApiError`."""
        return _data(await self._post(document, variables))

    async def query_allowed(self, document: str, **variables: object) -> Json:
        """Return the `data` of a query, in which fields that the caller may not read are null. Raises `ApiError`."""
        body = _body(await self._post(document, variables))
        refused = [each for each in body.get("errors") or () if code_of(each) != "FORBIDDEN"]
        return _data_of({**body, "errors": refused})

    async def mutate(self, document: str, **fields: object) -> Json:
        """Send a mutation with the fields of its `input`, and return its payload.

        Raises `Refused`, `ApiError`. After `Unreachable` it is unknown whether it was done.
        """
        payload: Json
        try:
            (payload,) = _data(await self._post(document, {"input": fields})).values()
        except Unreachable as error:
            message = error.problems[0].message
            raise Unreachable(f"{message} It may have been done: load the page again before you repeat it.") from error
        if payload["userErrors"]:
            raise Refused([Problem(error["code"], error["message"]) for error in payload["userErrors"]])
        return payload

    async def subscribe(self, document: str, **variables: object) -> AsyncGenerator[Json, None]:
        """Yield the `data` of each event of a subscription until the server completes it. Raises `ApiError`."""
        self._check_open()
        try:
            async with self._http.stream(
                "POST",
                self.endpoint,
                content=msgspec.json.encode({"query": document, "variables": variables}),
                headers={"Content-Type": "application/json", "Accept": "text/event-stream"},
                timeout=httpx.Timeout(STREAM_TIMEOUT_SECONDS, connect=5),
            ) as response:
                if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                    await response.aread()
                    _data(response)
                async for line in response.aiter_lines():
                    if line.startswith("data:") and (text := line.removeprefix("data:").strip()):
                        yield _data_of(json.loads(text))
        except (httpx.HTTPError, ValueError) as error:
            raise Unreachable(f"The stream from {self.endpoint} broke: {error or type(error).__name__}.") from error

    async def close(self) -> None:
        """Close all connections; later requests fail."""
        await self._http.aclose()

    async def _post(self, document: str, variables: Json) -> httpx.Response:
        self._check_open()
        try:
            return await self._http.post(
                self.endpoint,
                content=msgspec.json.encode({"query": document, "variables": variables}),
                headers={"Content-Type": "application/json"},
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if self._http.is_closed:  # meanwhile
                raise _ended() from error
            raise Unreachable(f"{self.endpoint} does not respond: {error or type(error).__name__}.") from error

    def _check_open(self) -> None:
        if self._http.is_closed:
            raise _ended()


def _ended() -> Unauthenticated:
    return Unauthenticated([Problem("UNAUTHENTICATED", "This session has ended. Sign in again.")])


def _data(response: httpx.Response) -> Json:
    return _data_of(_body(response))


def _body(response: httpx.Response) -> Json:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Unreachable(f"The response is not GraphQL: status {response.status_code}. Check the endpoint.")
    return body


def _data_of(body: Json) -> Json:
    if body.get("errors"):
        raise error_of(body["errors"])
    data = body.get("data")
    if not isinstance(data, dict):
        raise ApiError.of("ERROR", "The response has no data.")
    return data


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
