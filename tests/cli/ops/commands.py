"""Running operator commands against a server in this process, directly on MongoDB, or against a stub."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from click.testing import CliRunner, Result

from cli import main
from cli.client import client
from graph.app import create_app
from graph.runtime import Runtime
from graph.settings import Settings
from storage import Store

Run = Callable[..., Awaitable[Result]]


@asynccontextmanager
async def server(settings: Settings) -> AsyncIterator[tuple[str, Runtime]]:
    """Run a server in this process and yield the URL of its endpoint, and its runtime."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(create_app(settings), lifespan="on", log_level="error", ws="websockets-sansio")
        running = uvicorn.Server(config)
        serving = asyncio.create_task(running._serve([listener]))
        while not running.started:
            assert not serving.done(), serving
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/graphql", running.lifespan.state["runtime"]
        running.should_exit = True
        await serving


def invoke(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(main, [*arguments], **options)


async def invoke_direct(store: Store, uri: str, *arguments: str, **options: Any) -> Result:
    """Run a command directly on MongoDB."""
    env = {"PRICEBOOK_MONGODB_URI": uri, "PRICEBOOK_MONGODB_DATABASE": store.db.name}
    return await asyncio.to_thread(invoke, *arguments, "--direct", env=env, **options)


async def output_of(run: Run, *arguments: str) -> str:
    result = await run(*arguments)
    assert result.exit_code == 0, result.output
    assert all(len(line) <= 80 and line == line.rstrip() for line in result.stdout.splitlines()), result.stdout
    return result.stdout


async def json_of(run: Run, *arguments: str) -> Any:
    result = await run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def cells(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


class Stub:
    """An endpoint with a fixed response for each operation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, responses: dict[str, Any]) -> None:
        self.operations: list[str] = []
        self.inputs: list[dict[str, Any]] = []
        self.authorization: str | None = None

        def respond(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content)
            self.inputs.append(body["variables"].get("input"))
            self.authorization = request.headers.get("Authorization")
            operation = body["query"].split("(")[0].split()[-1]
            self.operations.append(operation)
            return httpx.Response(200, json={"data": responses[operation]})

        def open_http(_: str, token: str | None, __: int) -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {token}"} if token else None
            return httpx.AsyncClient(transport=httpx.MockTransport(respond), headers=headers)

        monkeypatch.setattr(client, "open_http", open_http)
