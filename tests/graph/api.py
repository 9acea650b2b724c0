"""Clients of the API for tests."""

import datetime
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.app import create_app
from graph.asgi.headers import headers_by_name
from graph.identity.callers import Caller
from graph.identity.scopes import EVERYTHING
from graph.limits.bodies import DEFAULT_BODY_LIMITS
from graph.middleware.body_limit import BodyLimitMiddleware
from graph.middleware.request_state import RequestStateMiddleware
from graph.request_state import REQUEST_STATE, RequestState
from graph.runtime import Runtime
from graph.settings import Settings
from storage import Retention, Store
from tests.waiting import until

Row = dict[str, Any]

CREATE = """
mutation ($input: CreatePriceListInput!) {
  createPriceList(input: $input) { priceList { name description currentVersion } userErrors { code message path } }
}"""

PUBLISH = """
mutation ($input: PublishBatchInput!) {
  publishBatch(input: $input) {
    batch {
      id state version checksum label errorCount
      progress { received stored expected }
      errors { index sku field code message }
    }
    snapshot { version size }
    userErrors { code message path }
  }
}"""

ROLLBACK = """
mutation ($input: RollbackInput!) {
  rollback(input: $input) {
    priceList { currentVersion pin { version reason by } }
    userErrors { code message path }
  }
}"""


ANYBODY = Caller("anybody", EVERYTHING)
"""The caller of an application without authentication."""


def open_settings(**settings: Any) -> Settings:
    """Return settings that allow everything to anonymous callers, without a rate limit."""
    return Settings(**{"anonymous": "admin", "max_rate": 0, **settings})


def row(sku: str, amount: str = "1.00", currency: str = "EUR", **more: Any) -> Row:
    """Return a row of a batch."""
    return {"sku": sku, "amount": amount, "currency": currency, **more}


def codes(payload: dict[str, Any]) -> list[str]:
    """Return the codes of the user errors of a payload."""
    return [error["code"] for error in payload["userErrors"]]


async def expire_past_versions(store: Store) -> None:
    """Expire all versions of the list `retail` but the current one, although they were read."""
    await store.price_list_editor.update(
        "retail", "ops", lambda each: msgspec.structs.replace(each, retention=Retention(versions=1, days=0))
    )
    store.expirer._grace = store.expirer._settle = datetime.timedelta()

    async def has_expired() -> bool:
        return bool((await store.expirer.expire("retail", by="ops")).retirements)

    await until(has_expired, "expired")


class Client:
    """A client of a server."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def execute(self, document: str, **variables: Any) -> dict[str, Any]:
        """Send an operation and return the JSON of the response."""
        response = await self.http.post("/graphql", json={"query": document, "variables": variables})
        body: dict[str, Any] = response.json()
        return body

    async def data(self, document: str, **variables: Any) -> dict[str, Any]:
        """Send an operation and return its data; fail if there are errors."""
        body = await self.execute(document, **variables)
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    async def error_codes(self, document: str, **variables: Any) -> list[str]:
        """Send an operation and return the codes of the top-level errors."""
        body = await self.execute(document, **variables)
        return [error["extensions"]["code"] for error in body.get("errors", [])]

    async def create(self, *names: str) -> None:
        """Create price lists."""
        for name in names:
            payload = (await self.data(CREATE, input={"name": name}))["createPriceList"]
            assert not payload["userErrors"]

    async def submit(self, price_list: str, prices: Any, key: str | None = None, **more: Any) -> dict[str, Any]:
        """Send a batch and return the payload. The default is a new idempotency key."""
        key = key or secrets.token_hex(8)
        order = {"priceList": price_list, "mode": "REPLACE", "idempotencyKey": key, "prices": prices, **more}
        payload: dict[str, Any] = (await self.data(PUBLISH, input=order))["publishBatch"]
        return payload

    async def publish(self, price_list: str, prices: Sequence[Row]) -> int:
        """Send a batch and return its version; fail unless it is published."""
        payload = await self.submit(price_list, prices)
        assert payload["batch"]["state"] == "PUBLISHED", payload
        version: int = payload["batch"]["version"]
        return version

    async def amounts(self, price_list: str) -> dict[str, str] | None:
        """Return the amounts of the current version by sku; None without a current version."""
        snapshot = (
            await self.data(
                "query ($l: ID!) { snapshot(priceList: $l) { prices { nodes { sku amount } } } }", l=price_list
            )
        )["snapshot"]
        return snapshot and {price["sku"]: price["amount"] for price in snapshot["prices"]["nodes"]}


class Api(Client):
    """A client of an application in this process, with the application and its runtime."""

    def __init__(self, http: httpx.AsyncClient, runtime: Runtime, app: ASGIApp | None = None) -> None:
        super().__init__(http)
        self.runtime = runtime
        self._app = app

    @property
    def app(self) -> ASGIApp:
        """The application, for requests that `http` cannot send."""
        assert self._app is not None
        return self._app


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Api]:
    """Run the lifespan of an application, as a server does, and yield a client."""
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        stateful = with_state(app, state)
        async with http_client(stateful) as http:
            yield Api(http, state["runtime"], stateful)


def http_client(app: ASGIApp) -> httpx.AsyncClient:
    """Return an HTTP client of an ASGI application or endpoint, behind the body limit and without authentication.

    The body limit records that a body was read; otherwise each response would wait for the rest of the body.
    """
    limited = BodyLimitMiddleware(app, DEFAULT_BODY_LIMITS)

    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        scope[REQUEST_STATE].caller = ANYBODY
        await limited(scope, receive, send)

    transport = httpx.ASGITransport(RequestStateMiddleware(authenticated))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def with_request_state(scope: Scope) -> Scope:
    """Return a scope with the state of a request by `ANYBODY`, as middleware adds it."""
    state = RequestState(headers_by_name(scope["headers"]))
    state.caller = ANYBODY
    return {**scope, REQUEST_STATE: state}


def with_state(app: ASGIApp, state: Mapping[str, Any]) -> ASGIApp:
    """Return an application with the state that its lifespan would set."""

    async def stateful(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return stateful
