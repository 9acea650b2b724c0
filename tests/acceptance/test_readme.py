"""The examples of README work for a reader who runs them from top to bottom, on a server that `make run` started."""

import asyncio
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from click.testing import CliRunner

from cli import main
from cli.client.client import open_client
from cli.dev import demo
from cli.dev.ecb import read_rates
from storage import Store
from tests.acceptance.test_two_servers import is_ready, server
from tests.documented_commands import ROOT, commands_of
from tests.graph.api import Client
from tests.waiting import until

PROGRAMS = {
    "sh": (["bash", "-c"], "curl"),
    "python": ([sys.executable, "-c"], "python3"),
    "js": (["node", "--input-type=module", "-e"], "node"),
}


class Example(NamedTuple):
    """A block of code, and the JSON below it."""

    language: str
    code: str
    response: str

    @property
    def is_program(self) -> bool:
        """Whether it is a program that publishes a batch."""
        return self.language in {"python", "js"} or "curl " in self.code


def examples() -> Iterator[Example]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.finditer(r"^```(\w+)\n(.*?)^```(?:\n\n```json\n(.*?)```)?", text, re.DOTALL | re.MULTILINE):
        yield Example(block[1], block[2], block[3] or "")


@pytest.fixture
async def client(mongodb_uri: str, store: Store, tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a server."""
    with server(mongodb_uri, store.db.name, tmp_path / "server.log") as url:
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
            await until(partial(is_ready, http), "ready")
            yield Client(http)


async def test_the_examples_work_from_top_to_bottom(
    client: Client, mongodb_uri: str, store: Store, tmp_path: Path
) -> None:
    url = str(client.http.base_url).rstrip("/")
    environ = {
        "PRICEBOOK_ENDPOINT": f"{url}/graphql",
        "PRICEBOOK_MONGODB_URI": mongodb_uri,
        "PRICEBOOK_MONGODB_DATABASE": store.db.name,
    }
    await publish_rates(f"{url}/graphql")
    missing = []
    for each in examples():
        if each.language == "graphql":
            await check_response(client, each)
        elif each.is_program and shutil.which(PROGRAMS[each.language][1]):
            await check_program(each, url, tmp_path)
        elif each.is_program:
            missing.append(PROGRAMS[each.language][1])
        elif each.language == "sh":
            await check_commands(each, environ)
    if missing:
        pytest.skip(f"{' and '.join(missing)} are not on this machine: all other examples work.")


async def publish_rates(endpoint: str) -> None:
    """Publish the days of the demo, without the history."""
    async with open_client(endpoint, None) as client:
        await client.execute_once(demo.CREATE, {"input": {"name": demo.ECB}})
        await demo._publish_days(client, read_rates()[-demo.DAYS :])


async def check_response(client: Client, example: Example) -> None:
    """Compare the response. The rates are those of the installed package: only their fields are compared."""
    response = {"data": await client.data(example.code)}
    expected = json.loads(example.response)
    if demo.ECB in example.code:
        assert fields(response) == fields(expected)
    else:
        assert response == expected


def fields(value: Any) -> Any:
    """Return a JSON value with the types of its scalars in place of them."""
    if isinstance(value, dict):
        return {name: fields(each) for name, each in value.items()}
    return [fields(each) for each in value] if isinstance(value, list) else type(value)


async def check_program(example: Example, url: str, folder: Path) -> None:
    """Run a program that publishes a batch."""
    command, _ = PROGRAMS[example.language]
    code = example.code.replace("http://127.0.0.1:8000", url)
    process = await asyncio.create_subprocess_exec(
        *command, code, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert "PUBLISHED" in output.decode(), output.decode() + errors.decode()


async def check_commands(example: Example, environ: dict[str, str]) -> None:
    """Run the `pricebook` commands of a block. `--yes` confirms, as the reader does."""
    for command in commands_of("README.md", f"```sh\n{example.code}```\n"):
        if command.arguments[0] == "pricebook":
            arguments = [*command.arguments[1:], *["--yes"] * (command.arguments[1] in {"rollback", "unpin"})]
            result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environ)
            assert result.exit_code == 0, f"{command}: {result.output}"
