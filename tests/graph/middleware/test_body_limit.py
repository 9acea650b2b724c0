"""The body limit: a body over it is refused before it is read, or as soon as it is over."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from graph.http import lingering_close
from graph.identity.callers import Caller
from graph.identity.scopes import Grants
from graph.limits import bodies
from graph.limits.bodies import BodyLimits
from graph.middleware.body_limit import BodyLimitMiddleware
from graph.request_state import REQUEST_STATE, RequestState
from graph.settings import Settings
from storage import Store
from tests.graph.api import Api, http_client, open_settings, serving

LIMIT = 1000


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with the length of the body."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


class Body:
    """A body in chunks of 100 bytes, which counts the bytes that were read. It ends after `size` bytes, or never."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.size is None or self.read < self.size:
            self.read += 100
            yield b"x" * 100


@pytest.fixture(autouse=True)
def _no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make responses not receive the rest of a body, so that tests can measure what was read before."""
    monkeypatch.setattr(lingering_close, "MAX_LINGERING_BYTES", 0)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with a body limit."""
    async with http_client(BodyLimitMiddleware(echo, BodyLimits(body=LIMIT, upload=10 * LIMIT))) as client:
        yield client


def check_refused(response: httpx.Response, limit: int = LIMIT) -> None:
    assert response.status_code == 413
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "BODY_TOO_LARGE"
    assert f"over {limit} bytes" in error["message"]


async def test_a_body_within_the_limit_is_passed_on(http: httpx.AsyncClient) -> None:
    for size in (0, 1, LIMIT):
        assert (await http.post("/", content=b"x" * size)).text == str(size)
    assert (await http.post("/", content=Body(LIMIT))).text == str(LIMIT)


async def test_a_content_length_over_the_limit_is_refused_before_reading(http: httpx.AsyncClient) -> None:
    body = Body(LIMIT + 100)
    check_refused(await http.post("/", content=body, headers={"content-length": str(LIMIT + 1)}))
    assert body.read == 0


async def test_a_body_without_a_content_length_is_refused_once_it_is_over_the_limit(
    http: httpx.AsyncClient,
) -> None:
    body = Body()
    check_refused(await http.post("/", content=body))
    assert body.read == LIMIT + 100


async def test_a_false_content_length_does_not_evade_the_limit(http: httpx.AsyncClient) -> None:
    body = Body()
    check_refused(await http.post("/", content=body, headers={"content-length": "10"}))
    assert body.read == LIMIT + 100


async def test_the_application_applies_its_setting(store: Store, mongodb_uri: str) -> None:
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name, max_body_bytes=LIMIT)
    async with serving(settings) as api:
        check_refused(await api.http.post("/graphql", content=b"x" * (LIMIT + 1)))
        check_refused(await api.http.post("/graphql", content=Body(), headers={"content-type": "application/json"}))


@pytest.fixture
async def guarded(store: Store, mongodb_uri: str) -> AsyncIterator[Api]:
    """An application in which anonymous callers may only read, with limits of 1,000 and 10,000 bytes."""
    settings = Settings(
        mongodb_uri=mongodb_uri,
        mongodb_database=store.db.name,
        anonymous="prices:read",
        max_query_bytes=LIMIT,
        max_body_bytes=10 * LIMIT,
        max_bodies_bytes=LIMIT,
    )
    async with serving(settings) as api:
        yield api


def padded(query: str, size: int) -> str:
    return json.dumps({"query": query, "variables": {"undeclared": "x" * size}})


async def test_only_callers_who_may_write_send_long_bodies(guarded: Api) -> None:
    _, reader = await guarded.runtime.store.api_keys.create("till", ["prices:read"], "ops")
    for headers in ({}, {"authorization": f"Bearer {reader}"}):
        body = Body()
        response = await guarded.http.post(
            "/graphql", content=body, headers=headers | {"content-type": "application/json"}
        )
        check_refused(response)
        assert body.read == LIMIT + 100
        assert "batches:write" in response.text
        upload = {"content-type": "multipart/form-data; boundary=b", "content-length": str(LIMIT + 1)}
        check_refused(await guarded.http.post("/graphql", content=Body(), headers=headers | upload))


async def test_a_long_body_is_refused_unless_its_operation_takes_rows(guarded: Api) -> None:
    _, writer = await guarded.runtime.store.api_keys.create("supplier", ["batches:write"], "ops")
    headers = {"authorization": f"Bearer {writer}", "content-type": "application/json"}
    refused = await guarded.http.post("/graphql", content=padded("{ __typename }", LIMIT), headers=headers)
    check_refused(refused)
    takes_rows = "query ($input: PublishBatchInput) { __typename }"
    answered = await guarded.http.post("/graphql", content=padded(takes_rows, LIMIT), headers=headers)
    assert answered.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    check_refused(await guarded.http.post("/graphql", content=Body(), headers=headers), 10 * LIMIT)


async def test_bodies_in_progress_share_a_budget(guarded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "WAIT_SECONDS", 0.1)
    _, writer = await guarded.runtime.store.api_keys.create("supplier", ["batches:write"], "ops")
    headers = {"authorization": f"Bearer {writer}", "content-type": "application/json"}
    received, unfinished = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 6 * LIMIT
        received.set()
        await unfinished.wait()

    async def post() -> httpx.Response:
        return await guarded.http.post("/graphql", content=slow(), headers=headers)

    first = asyncio.create_task(post())
    await received.wait()
    response = await post()
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (503, "SERVER_BUSY")
    assert response.headers["retry-after"] == "1"
    unfinished.set()
    assert (await first).status_code == 400
    assert (await post()).status_code == 400


async def test_the_multipart_bodies_of_readers_count_too() -> None:
    state = RequestState({})
    state.caller = Caller("till", Grants.parse(["prices:read"]))
    state.headers = {b"content-type": b"multipart/form-data", b"content-length": b"900"}
    reserved: list[int] = []

    async def record(scope: Scope, receive: Receive, send: Send) -> None:
        reserved.append(limited._budget._total)

    limited = BodyLimitMiddleware(record, BodyLimits(query=LIMIT))
    await limited({"type": "http", REQUEST_STATE: state}, _none, _none)
    assert (reserved, limited._budget._total) == ([900], 0)


async def _none(*_: object) -> Any:
    raise AssertionError
