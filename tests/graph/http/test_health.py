"""Health checks: a process that cannot serve is not ready, and its response names the failed check."""

import signal
from pathlib import Path
from typing import Any

import httpx

from tests.graph.api import Api, open_settings, serving
from tests.stack.replica_set import BreakableReplicaSet
from tests.waiting import until


async def readiness(api: Api) -> tuple[int, dict[str, Any]]:
    response = await api.http.get("/readyz")
    return response.status_code, response.json()


async def test_a_serving_process_is_healthy_and_ready(api: Api) -> None:
    response: httpx.Response = await api.http.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert await readiness(api) == (200, {"status": "ready", "checks": {"primary": True, "pointers": True}})


async def test_a_process_without_a_change_stream_is_not_ready(api: Api) -> None:
    await api.runtime.pointers.stop()
    assert await readiness(api) == (503, {"status": "not ready", "checks": {"primary": True, "pointers": False}})
    assert (await api.http.get("/healthz")).status_code == 200


async def test_a_process_without_a_primary_is_not_ready_until_it_has_one_again(data_dir: Path) -> None:
    with BreakableReplicaSet(data_dir, members=1) as replica_set:
        async with serving(open_settings(mongodb_uri=replica_set.uri)) as api:
            assert (await readiness(api))[0] == 200
            [member] = replica_set.members()
            replica_set.kill(member, signal.SIGKILL)
            status, body = await readiness(api)
            assert (status, body["status"], body["checks"]["primary"]) == (503, "not ready", False)
            assert (await api.http.get("/healthz")).status_code == 200
            member = replica_set.restart(member)
            await until(lambda: ready(api), "ready again")
            replica_set.kill(member, signal.SIGSTOP)
            # A thread of mongod may still respond before the signal reaches all threads.
            await until(lambda: lacks_primary(api), "without a primary, which hangs")
            replica_set.kill(member, signal.SIGCONT)
            await until(lambda: ready(api), "ready again")


async def ready(api: Api) -> bool:
    return (await readiness(api))[0] == 200


async def lacks_primary(api: Api) -> bool:
    status, body = await readiness(api)
    return status == 503 and not body["checks"]["primary"]
