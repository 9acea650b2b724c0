"""The examples of README run as they are printed there, against a live server."""

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.acceptance.test_two_servers import servers, urls
from tests.graph.api import Client

__all__ = ["servers", "urls"]

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PROGRAMS = {
    "shell": (["bash", "-c"], "curl"),
    "python": ([sys.executable, "-c"], "python3"),
    "javascript": (["node", "--input-type=module", "-e"], "node"),
}


def example(name: str) -> tuple[str, str]:
    """Return the code of an example, and the response below it, which is empty if there is none."""
    found = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```(?:\n\n```json\n(.*?)```)?", README, re.DOTALL)
    assert found, f"README has no example {name}."
    return found[1], found[2] or ""


async def test_the_first_screen_shows_what_a_server_answers(servers: list[Client]) -> None:
    client = servers[0]
    await client.data(example("create")[0])
    monday = """mutation {
      publishBatch(input: {priceList: "shop", mode: REPLACE, idempotencyKey: "monday", prices: [
        {sku: "TEA-100", amount: "12.50", currency: "EUR"}, {sku: "CUP-1", amount: "7.00", currency: "EUR"}
      ]}) { batch { version } userErrors { code message } }
    }"""
    assert (await client.data(monday))["publishBatch"] == {"batch": {"version": 1}, "userErrors": []}
    for name in ("query", "batch", "rollback"):
        document, response = example(name)
        assert {"data": await client.data(document)} == json.loads(response), name
    await client.data('mutation { unpin(input: {priceList: "shop", reason: "corrected"}) { userErrors { code } } }')


@pytest.mark.parametrize("name", PROGRAMS)
async def test_an_example_publishes_a_batch(servers: list[Client], tmp_path: Path, name: str) -> None:
    command, program = PROGRAMS[name]
    if not shutil.which(program):
        pytest.skip(f"{program} is not on this machine.")
    client = servers[0]
    await client.data('mutation { createPriceList(input: {name: "shop"}) { userErrors { code } } }')
    code = example(name)[0].replace("http://127.0.0.1:8000", str(client.http.base_url).rstrip("/"))
    process = await asyncio.create_subprocess_exec(
        *command, code, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert "PUBLISHED" in output.decode(), output.decode() + errors.decode()
