"""Sends the same request to an application by each of its transports."""

import json
from typing import Any, NamedTuple

import httpx
from starlette.types import ASGIApp

from tests.graph.sockets import connection

TRANSPORTS = ("json", "events", "websocket")

EVENTS = {"accept": "text/event-stream"}


class Answer(NamedTuple):
    """The data of a response, and the codes and messages of its errors."""

    data: Any
    codes: list[str]
    messages: list[str]


async def answer(app: ASGIApp, transport: str, request: Any, key: str | None = None) -> Answer:
    """Send a request and return its only result."""
    if transport == "websocket":
        async with connection(app) as socket:
            await socket.init(key)
            message = (await socket.execute(request))[0]
            body = message["payload"] if message["type"] == "next" else {"errors": message["payload"]}
    else:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
            response = await http.post(
                "/graphql", json=request, headers=headers | (EVENTS if transport == "events" else {})
            )
        is_stream = response.headers["content-type"].startswith("text/event-stream")
        body = parse_events(response.text)[0] if is_stream else response.json()
    errors = body.get("errors", [])
    return Answer(
        body.get("data"), [error["extensions"]["code"] for error in errors], [error["message"] for error in errors]
    )


def parse_events(text: str) -> list[dict[str, Any]]:
    """Return the results in a complete event stream."""
    *events, complete, rest = text.split("\n\n")
    assert (complete, rest) == ("event: complete\ndata: ", "")
    results = []
    for event in events:
        head, data = event.split("\n")
        assert head == "event: next"
        results.append(json.loads(data.removeprefix("data: ")))
    return results
