"""A client of the public GraphQL API, for the commands that speak to a running server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import click
import httpx
import msgspec

DEFAULT_ENDPOINT = "http://127.0.0.1:8000/graphql"

QUERY_SECONDS = 30
MUTATION_SECONDS = 600
"""How long an answer is waited for; a large batch is answered once it is published."""

_CHUNK = 64 * 1024

Sent = Callable[[int, int], None]
"""Called while a body goes out, with the bytes that have gone and the bytes there are."""


class ApiError(click.ClickException):
    """The API cannot be reached, or refused what it was asked; exit code 1."""


class Api:
    """One GraphQL endpoint."""

    def __init__(self, endpoint: str, client: httpx.Client) -> None:
        self.endpoint = endpoint
        self._client = client

    def execute(
        self,
        document: str,
        variables: dict[str, object] | None = None,
        *,
        timeout: float = QUERY_SECONDS,
        sent: Sent | None = None,
    ) -> dict[str, Any]:
        """Return the `data` of the answer; `timeout` in seconds. Raises `ApiError`."""
        body = msgspec.json.encode({"query": document, "variables": variables or {}})
        try:
            response = self._client.post(
                self.endpoint,
                content=_chunks(body, sent),
                headers={"Content-Type": "application/json", "Content-Length": str(len(body))},
                timeout=timeout,
            )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ApiError(
                f"No answer from {self.endpoint} ({error or type(error).__name__}). Is the server running? "
                "`pricebook dev` starts one."
            ) from error
        return _data(self.endpoint, response)

    def mutate(self, document: str, variables: dict[str, object], *, sent: Sent | None = None) -> dict[str, Any]:
        """Return the payload of a document's one mutation. Raises `ApiError`, also for `userErrors`."""
        data = self.execute(document, variables, timeout=MUTATION_SECONDS, sent=sent)
        ((mutation, payload),) = data.items()
        if payload["userErrors"]:
            raise ApiError("\n".join([f"{mutation} was refused:", *map(_line, payload["userErrors"])]))
        found: dict[str, Any] = payload
        return found


@contextmanager
def open_api(endpoint: str, token: str | None = None) -> Iterator[Api]:
    """Open the API at an endpoint, its connections closed in the end; the token goes out as bearer."""
    with httpx.Client(headers=bearer(token), trust_env=not is_on_this_machine(endpoint)) as client:
        yield Api(endpoint, client)


def bearer(token: str | None) -> dict[str, str]:
    """Return the headers that tell who asks."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def is_on_this_machine(endpoint: str) -> bool:
    """Whether an endpoint is this machine's, to which no proxy leads."""
    return urlsplit(endpoint).hostname in {"127.0.0.1", "::1", "localhost"}


def _chunks(body: bytes, sent: Sent | None) -> Iterator[bytes]:
    for start in range(0, len(body), _CHUNK):
        chunk = body[start : start + _CHUNK]
        yield chunk
        if sent is not None:
            sent(start + len(chunk), len(body))


def _data(endpoint: str, response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
        errors, data = answer.get("errors"), answer.get("data")
    except (ValueError, AttributeError):
        errors, data = None, None
    if errors:
        raise ApiError("\n".join([f"{endpoint} answered with errors:", *map(_line, errors)]))
    if not isinstance(data, dict):
        raise ApiError(f"{endpoint} answered {response.status_code}, not GraphQL: {response.text[:200]}")
    return data


def _line(error: dict[str, Any]) -> str:
    """Write a GraphQL error or a `UserError` in one line."""
    code = error.get("code") or (error.get("extensions") or {}).get("code") or "ERROR"
    where = f" at {'.'.join(map(str, error['path']))}" if error.get("path") else ""
    return f"  {code}{where}: {error['message']}"
