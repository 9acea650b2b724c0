"""Each operation on a WebSocket is counted like a request."""

from tests.graph.api import Api, row
from tests.graph.sockets import connection
from tests.graph.telemetry.samples import request_counts
from tests.waiting import until

PUBLISHED = 'subscription { published(priceList: "retail") { version } }'
UNKNOWN = 'subscription { batchProgress(id: "none") { state } }'


async def test_a_subscription_is_in_flight_until_it_ends_and_is_then_counted(api: Api) -> None:
    await api.create("retail")
    await api.publish("retail", [row("a")])
    requests = api.runtime.requests
    requests.by_operation.clear()
    async with connection(api.app) as socket:
        await socket.init()
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
