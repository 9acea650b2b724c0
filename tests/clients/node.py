"""Programs in `tests/clients/js`, run with Node.js in a folder in which their packages are installed."""

import asyncio
import json
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.clients.examples import examples, javascript
from tests.stack import npm

PROGRAMS = Path(__file__).with_name("js")
SCHEMA = Path(__file__).parents[2] / "graph" / "schema.graphql"
NODE = ("node", "--experimental-websocket")
"""Node.js with the `WebSocket` of browsers, which versions before 22 have only with this option."""


def install(folder: Path) -> None:
    """Install the programs and their packages in a new folder, with the examples of the docs, and run Relay's compiler.

    Skip the test if this machine has no Node.js.
    """
    npm.install(PROGRAMS, folder)
    (folder / "docs").mkdir()
    for name, code in javascript().items():
        (folder / "docs" / f"{name}.js").write_text(code, encoding="utf-8")
    _compile_for_relay(folder)


def _compile_for_relay(folder: Path) -> None:
    """Run Relay's compiler. Its imports have no extension, which only bundlers and CommonJS find."""
    shutil.copy(SCHEMA, folder)
    config = {**json.loads(examples("json")["relay.config"]), "eagerEsModules": False}
    (folder / "__generated__").mkdir()
    for name, content in (
        ("relay.config.json", config),
        ("trusted.json", {}),
        ("__generated__/package.json", {"type": "commonjs"}),
    ):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    compiled = npm.run("npx", "relay-compiler", cwd=folder)
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr


class Program:
    """A program that prints a JSON value on each line."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def read(self) -> Any:
        """Return the next value that it prints; fail if it ends instead."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, await self.errors()
        return json.loads(line)

    async def errors(self) -> str:
        """Return what it has written to stderr, once it has ended."""
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode()


@asynccontextmanager
async def running(folder: Path, url: str, program: str, *arguments: str) -> AsyncIterator[Program]:
    """Run a program with the URL of a server, and kill it at the end."""
    process = await asyncio.create_subprocess_exec(
        *NODE,
        program,
        *arguments,
        cwd=folder,
        env={"PRICEBOOK_URL": url, "PATH": _path()},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def _path() -> str:
    node = shutil.which("node")
    assert node is not None
    return str(Path(node).parent)
