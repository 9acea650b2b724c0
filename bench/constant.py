"""A limit to compare with: plain Starlette that returns a constant."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BODY = b"x" * int(os.environ.get("BENCH_CONSTANT_BYTES", "100"))


async def constant(_: Request) -> Response:
    return Response(BODY, media_type="application/json")


app = Starlette(routes=[Route("/graphql", constant, methods=["POST"]), Route("/readyz", constant)])
