"""Each operation on a WebSocket is counted like a request."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Message, Scope

from graph.http.endpoint import Endpoint
from graph.runtime import Runtime
from graph.schema.build import build_schema
from tests.graph.api import ANYBODY, Api, row, with_request_state
from tests.graph.telemetry.samples import request_counts
from tests.waiting import until

PUBLISHED = 'subscription { published(priceList: "retail") { version } }'
UNKNOWN = 'subscription { batchProgress(id: "none") { state } }'


class Socket:
    """A WebSocket connection to the endpoint, without a network."""

    def __init__(self) -> None:
        self.to_server: asyncio.Queue[Message] = asyncio.Queue()
        self.to_client: asyncio.Queue[Message] = asyncio.Queue()

    def send(self, **message: Any) -> None:
        self.to_server.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    async def receive(self) -> dict[str, Any]:
        while "text" not in (message := await self.to_client.get()):
            assert message["type"] == "websocket.accept"
        received: dict[str, Any] = json.loads(message["text"])
        return received


@asynccontextmanager
async def connected(runtime: Runtime) -> AsyncIterator[Socket]:
    """Yield a connection that the server has acknowledged."""
    socket = Socket()
    scope: Scope = {
        "type": "websocket",
        "path": "/graphql",
        "query_string": b"",
        "headers": [],
        "subprotocols": ["graphql-transport-ws"],
        "state": {"runtime": runtime},
    }
    endpoint = Endpoint(build_schema(), lambda _: runtime.context(ANYBODY))
    serving = asyncio.create_task(endpoint(with_request_state(scope), socket.to_server.get, socket.to_client.put))
    socket.to_server.put_nowait({"type": "websocket.connect"})
    socket.send(type="connection_init")
    assert (await socket.receive())["type"] == "connection_ack"
    yield socket
    socket.to_server.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await serving


async def test_a_subscription_is_in_flight_until_it_ends_and_is_then_counted(api: Api) -> None:
    await api.create("retail")
    await api.publish("retail", [row("a")])
    requests = api.runtime.requests
    requests.by_operation.clear()
    async with connected(api.runtime) as socket:
        socket.send(id="1", type="subscribe", payload={"query": PUBLISHED})
        assert (await socket.receive())["payload"]["data"] == {"published": {"version": 1}}
        assert [state.operation_name for state in requests.in_flight] == ["subscription published"]
        socket.send(id="2", type="subscribe", payload={"query": UNKNOWN})
        assert (await socket.receive())["id"] == "2"

        async def is_counted() -> bool:
            return bool(requests.by_operation)

        await until(is_counted, "counted")
        assert request_counts(requests) == {("subscription batchProgress", "BATCH_NOT_FOUND", 101): 1}
    assert request_counts(requests)["subscription published", "OK", 101] == 1
    assert requests.in_flight == set()
