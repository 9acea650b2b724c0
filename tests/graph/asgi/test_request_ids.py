"""Request ids: the client's own where it is plain, else one of ours; in the answer, and in what is logged meanwhile."""

import re

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from graph.asgi.request_ids import Ids, RequestIdMiddleware, ids
from graph.http.response import json_response

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Answering:
    """An application that notes the ids that it sees."""

    def __init__(self) -> None:
        self.seen: list[Ids | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(ids())
        await json_response({})(scope, receive, send)


async def ask(*headers: tuple[str, str]) -> tuple[str, Ids]:
    """The id of the answer, and those that the application saw."""
    app = Answering()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(RequestIdMiddleware(app)), base_url="http://p") as http:
        response = await http.get("/", headers=list(headers))
    [seen] = app.seen
    assert seen is not None
    return response.headers["x-request-id"], seen


async def test_a_client_may_name_its_request() -> None:
    answered, seen = await ask(("x-request-id", "order-7.a_B"))
    assert (answered, seen) == ("order-7.a_B", Ids("order-7.a_B", None))


@pytest.mark.parametrize("given", ["", "two words", "a\tb", "x" * 129, '{"a":1}'])
async def test_a_name_that_is_not_plain_is_passed_over(given: str) -> None:
    answered, seen = await ask(("x-request-id", given))
    assert re.fullmatch(r"[0-9a-f]{12}-\d+", answered)
    assert seen.request == answered


async def test_each_request_has_another_id() -> None:
    assert len({(await ask())[0] for _ in range(10)}) == 10


async def test_the_trace_of_the_client_is_known() -> None:
    assert (await ask(("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")))[1].trace == TRACE
    assert (await ask(("traceparent", f"01-{TRACE}-00f067aa0ba902b7-00-more")))[1].trace == TRACE


@pytest.mark.parametrize(
    "given",
    [
        "",
        "00",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
    ],
)
async def test_what_is_no_trace_is_passed_over(given: str) -> None:
    assert (await ask(("traceparent", given)))[1].trace is None


def test_outside_of_a_request_there_is_none() -> None:
    assert ids() is None
