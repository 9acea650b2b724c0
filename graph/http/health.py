"""Health: `/healthz` says that the process answers, `/readyz` that it can serve."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graph.runtime import Runtime
from storage import explain

PING_SECONDS = 2.0


async def healthz(_: Request) -> Response:
    """Answer as long as the process lives."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Answer 200 when the primary answers and pointers are being pushed to this process, 503 otherwise.

    From the moment on that the process is told to end it is 503, so that balancers send no more requests.
    """
    runtime: Runtime = request.state.runtime
    if runtime.drain.has_begun:
        return JSONResponse({"status": "draining"}, 503)
    checks = {"primary": await _primary_answers(runtime), "pointers": runtime.pointers.alive}
    ready = all(checks.values())
    body = {"status": "ready" if ready else "not ready", "checks": checks}
    return JSONResponse(body, 200 if ready else 503)


async def _primary_answers(runtime: Runtime) -> bool:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await runtime.store.ping()
    except Exception as error:
        if explain(error) is None and not isinstance(error, TimeoutError):
            raise
        return False
    return True
