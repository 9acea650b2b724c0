"""The examples in README run unchanged against a live server."""

import asyncio
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


def example(name: str, url: str) -> str:
    """The code of an example, with the URL of a server."""
    match = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert match, f"README has no example {name}."
    return match[1].replace("http://127.0.0.1:8000", url)


@pytest.mark.parametrize("name", PROGRAMS)
async def test_an_example_publishes_a_batch(servers: list[Client], tmp_path: Path, name: str) -> None:
    command, program = PROGRAMS[name]
    if not shutil.which(program):
        pytest.skip(f"{program} is not on this machine.")
    client = servers[0]
    await client.data('mutation { createPriceList(input: {name: "shop"}) { userErrors { code } } }')
    code = example(name, str(client.http.base_url).rstrip("/"))
    process = await asyncio.create_subprocess_exec(
        *command, code, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert "PUBLISHED" in output.decode(), output.decode() + errors.decode()
