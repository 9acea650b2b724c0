"""Promise 11: the last release and the present code serve one database together and understand each other."""

import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from tests.acceptance.command import OPEN
from tests.acceptance.test_two_servers import current_version, sees
from tests.graph.api import ROLLBACK, Client, codes, row
from tests.stack.releases import last_release
from tests.stack.servers import ROOT, Server, servers

OPEN_BATCH = "mutation ($i: OpenBatchInput!) { openBatch(input: $i) { batch { id } userErrors { code } } }"
APPEND = "mutation ($i: AppendBatchInput!) { appendBatch(input: $i) { userErrors { code } } }"
COMMIT = "mutation ($i: CommitBatchInput!) { commitBatch(input: $i) { batch { state } userErrors { code } } }"
APPROVE = "mutation ($i: ReviewBatchInput!) { approveBatch(input: $i) { batch { version } userErrors { code } } }"
UNPIN = "mutation ($i: UnpinInput!) { unpin(input: $i) { userErrors { code } } }"


@pytest.fixture(scope="module")
def environ(mongodb_uri: str) -> Iterator[dict[str, str]]:
    """The settings of both servers, on a database of this module."""
    database = f"test_{secrets.token_hex(6)}"
    yield {**OPEN, "PRICEBOOK_MONGODB_URI": mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": database}
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database)


@pytest.fixture(scope="module")
def running(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    folder = tmp_path_factory.mktemp("releases")
    release = last_release(folder / "release")
    with servers(folder / "old", 1, environ, release) as old, servers(folder / "new", 1, environ) as new:
        yield [*old, *new]


@pytest.fixture(params=["old to new", "new to old"])
async def both(request: pytest.FixtureRequest, running: list[Server]) -> AsyncIterator[tuple[Client, Client]]:
    """Clients of both releases: the one that acts first, and the other."""
    async with AsyncExitStack() as stack:
        clients = [
            Client(await stack.enter_async_context(httpx.AsyncClient(base_url=each.url, timeout=60, trust_env=False)))
            for each in running
        ]
        first, second = clients if request.param == "old to new" else reversed(clients)
        yield first, second


@pytest.fixture
async def name(both: tuple[Client, Client]) -> str:
    """A list with three versions: a replace by the first release, and a merge by each release."""
    first, second = both
    name = f"list-{secrets.token_hex(4)}"
    await first.create(name)
    await first.publish(name, [row("a", "1.00"), row("b", "1.00", attributes={"size": 1})])
    await sees(second, name, 1)
    for version, (client, other) in enumerate(((second, first), (first, second)), 2):
        merged = await client.submit(name, [row(f"m{version}", f"{version}.00")], mode="MERGE", remove=["b"])
        assert merged["batch"]["version"] == version, merged
        await sees(other, name, version)
    return name


def test_the_old_server_runs_the_code_of_the_last_release(tmp_path: Path) -> None:
    release = last_release(tmp_path)
    code = "import graph, storage; print(graph.__file__, storage.__file__)"
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, cwd=release, env={"PYTHONPATH": str(release)}, check=True, capture_output=True)
    assert output.stdout.decode().split() == [str(release / each / "__init__.py") for each in ("graph", "storage")]


async def test_each_release_reads_versions_of_the_other(both: tuple[Client, Client], name: str) -> None:
    for client in both:
        assert await client.amounts(name) == {"a": "1.00", "m2": "2.00", "m3": "3.00"}
    histories = [
        await client.data(
            """query ($n: ID!) { priceList(name: $n) {
              snapshots { nodes { version size state batch { checksum } } } events { nodes { kind by at } }
            } }""",
            n=name,
        )
        for client in both
    ]
    assert histories[0] == histories[1]


async def test_a_rollback_by_one_release_is_unpinned_by_the_other(both: tuple[Client, Client], name: str) -> None:
    first, second = both
    rolled = await first.data(ROLLBACK, input={"priceList": name, "toVersion": 1, "reason": "wrong"})
    assert not codes(rolled["rollback"])
    await sees(second, name, 1)
    held = await second.submit(name, [row("a", "4.00")])
    assert held["batch"]["state"] == "HELD"
    unpinned = await second.data(UNPIN, i={"priceList": name, "reason": "looked at"})
    assert not codes(unpinned["unpin"])
    approved = await first.data(APPROVE, i={"batch": held["batch"]["id"], "reason": "right"})
    assert approved["approveBatch"] == {"batch": {"version": 4}, "userErrors": []}
    await sees(second, name, 4)
    assert await second.amounts(name) == {"a": "4.00"}


async def test_a_batch_opened_by_one_release_is_continued_by_the_other(both: tuple[Client, Client], name: str) -> None:
    first, second = both
    order = {"priceList": name, "mode": "REPLACE", "idempotencyKey": "parts"}
    opened = await first.data(OPEN_BATCH, i=order)
    batch = opened["openBatch"]["batch"]["id"]
    for sequence, client in enumerate((first, second)):
        rows = [row(f"{sequence}-{number}") for number in range(100)]
        appended = await client.data(APPEND, i={"batch": batch, "sequence": sequence, "prices": rows})
        assert not codes(appended["appendBatch"])
    committed = await second.data(COMMIT, i={"batch": batch, "parts": 2, "size": 200})
    assert committed["commitBatch"]["batch"]["state"] == "PUBLISHED"
    await sees(first, name, 4)


async def test_an_idempotency_key_is_respected_by_the_other_release(both: tuple[Client, Client], name: str) -> None:
    first, second = both
    submitted = await first.submit(name, [row("a", "5.00")], "once")
    repeated = await second.submit(name, [row("a", "5.00")], "once")
    assert repeated["batch"] == submitted["batch"]
    await sees(second, name, 4)
    assert await current_version(first, name) == 4


def test_the_database_is_sound_afterwards(running: list[Server], environ: dict[str, str]) -> None:
    assert running
    checked = subprocess.run(
        [sys.executable, "-m", "cli", "check"], cwd=ROOT, env=environ, check=False, capture_output=True
    )
    assert checked.returncode == 0, checked.stdout.decode() + checked.stderr.decode()
