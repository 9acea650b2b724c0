"""Request ids: the client's own if it is valid, else a generated one; in the response and in log records."""

import re

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from graph.http.response import json_response
from graph.middleware.request_state import RequestStateMiddleware
from graph.request_state import RequestState, current_request

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class RecordingApp:
    """An application that records the current request of each call."""

    def __init__(self) -> None:
        self.seen: list[RequestState | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(current_request.get())
        await json_response({})(scope, receive, send)


async def send_request(*headers: tuple[str, str]) -> tuple[str, RequestState]:
    """The id in the response, and the state that the application saw."""
    app = RecordingApp()
    transport = httpx.ASGITransport(RequestStateMiddleware(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://p") as http:
        response = await http.get("/", headers=list(headers))
    [state] = app.seen
    assert state is not None
    return response.headers["x-request-id"], state


async def test_a_client_may_choose_the_id_of_its_request() -> None:
    request_id, state = await send_request(("x-request-id", "order-7.a_B"))
    assert request_id == state.request_id.decode() == "order-7.a_B"
    assert state.trace_id is None


@pytest.mark.parametrize("invalid", ["", "two words", "a\tb", "x" * 129, '{"a":1}'])
async def test_an_invalid_id_is_replaced(invalid: str) -> None:
    request_id, state = await send_request(("x-request-id", invalid))
    assert re.fullmatch(r"[0-9a-f]{12}-\d+", request_id)
    assert state.request_id.decode() == request_id


async def test_generated_ids_are_unique() -> None:
    assert len({(await send_request())[0] for _ in range(10)}) == 10


async def test_the_trace_id_of_the_client_is_read() -> None:
    for trace_parent in (f"00-{TRACE}-00f067aa0ba902b7-01", f"01-{TRACE}-00f067aa0ba902b7-00-more"):
        assert (await send_request(("traceparent", trace_parent)))[1].trace_id == TRACE


@pytest.mark.parametrize(
    "invalid",
    [
        "",
        "00",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
    ],
)
async def test_an_invalid_trace_parent_is_ignored(invalid: str) -> None:
    assert (await send_request(("traceparent", invalid)))[1].trace_id is None


def test_outside_of_a_request_there_is_no_current_request() -> None:
    assert current_request.get() is None
