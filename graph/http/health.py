"""Health checks: `/healthz` for liveness, `/readyz` for readiness."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graph.runtime import Runtime
from storage import explain

PING_TIMEOUT_SECONDS = 2.0
"""Time limit for the primary to respond."""


async def healthz(_: Request) -> Response:
    """Respond 200 while the process lives."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Respond 200 while the primary responds and pointers are being pushed to this process, else 503.

    503 also from the moment the process starts to drain, so that load balancers send no more requests.
    """
    runtime: Runtime = request.state.runtime
    if runtime.drain.is_draining:
        return JSONResponse({"status": "draining"}, 503)
    checks = {"primary": await _is_primary_up(runtime), "pointers": runtime.pointers.alive}
    is_ready = all(checks.values())
    body = {"status": "ready" if is_ready else "not ready", "checks": checks}
    return JSONResponse(body, 200 if is_ready else 503)


async def _is_primary_up(runtime: Runtime) -> bool:
    try:
        async with asyncio.timeout(PING_TIMEOUT_SECONDS):
            await runtime.store.ping()
    except Exception as error:
        if explain(error) is None and not isinstance(error, TimeoutError):
            raise
        return False
    return True
