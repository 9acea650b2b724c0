"""`pricebook preview` prints a token that reads the version of a held batch, and revokes all of its tokens."""

import asyncio
import re
import shlex
import subprocess
from typing import Any

import msgspec
import pytest

from storage import Batch, Preview, PublishPolicy, Store
from tests.cli.ops.commands import Run, Stub, invoke, json_of, output_of, server
from tests.graph.api import open_settings
from tests.storage.factories import create, published, row, submit


async def waiting(store: Store) -> Batch:
    await create(store)
    await published(store, [row("a")])
    return await submit(store, [row("a", "2")], publish=PublishPolicy.ON_APPROVAL)


async def test_the_token_is_printed_alone_and_can_be_revoked(run: Run, store: Store) -> None:
    batch = await waiting(store)
    result = await run("preview", batch.id, "--for", "2d", "--reason", "for the shop")
    token = result.stdout.rstrip("\n")
    assert await store.previews.find(token) == Preview(batch.id, "retail", 2)
    assert re.search(
        r"version 2 of retail until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\. It is shown only once", result.stderr
    )
    assert (await store.events.newest("retail", 1))[0].reason == "for the shop"
    revoked = await output_of(run, "preview", batch.id, "--revoke", "--reason", "enough")
    assert revoked == f"Revoked all preview tokens of batch {batch.id} of retail.\n"
    assert await store.previews.find(token) is None
    again = await run("preview", batch.id, "--revoke", "--reason", "enough")
    assert (again.exit_code, "PREVIEW_NOT_FOUND" in again.stderr) == (1, True)


async def test_as_json_it_is_one_record(run: Run, store: Store) -> None:
    batch = await waiting(store)
    granted = await json_of(run, "preview", batch.id, "--for", "90m", "--reason", "x")
    assert granted["batch"] == {"id": batch.id, "priceList": "retail", "version": 2}
    assert await store.previews.find(granted["token"])


async def test_the_example_reads_the_version(store: Store, mongodb_uri: str) -> None:
    batch = await waiting(store)
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name)
    async with server(settings) as (endpoint, _):
        arguments = ("preview", batch.id, "--for", "12h", "--reason", "x", "--endpoint", endpoint)
        result = await asyncio.to_thread(invoke, *arguments)
        [example] = [line.strip() for line in result.stderr.splitlines() if "curl" in line]
        done = await asyncio.to_thread(subprocess.run, [*shlex.split(example), "-s"], capture_output=True, check=True)
    snapshot: Any = msgspec.json.decode(done.stdout)["data"]["snapshot"]
    assert snapshot == {"prices": {"nodes": [{"sku": "a", "amount": "2", "currency": "EUR"}]}}


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--for", "2d", "--revoke"),
        ("--for", "2"),
        ("--for", "2w"),
        ("--for", "0d"),
        ("--for", "-1d"),
        ("--for", "1234567d"),
    ],
)
def test_a_span_or_revoke_is_required(options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub(monkeypatch, {})
    result = invoke("preview", "1", "--reason", "x", *options)
    assert (result.exit_code, stub.operations) == (2, [])


async def test_a_span_over_thirty_days_is_refused_by_the_server(run: Run, store: Store) -> None:
    batch = await waiting(store)
    result = await run("preview", batch.id, "--for", "31d", "--reason", "x")
    assert (result.exit_code, "at most 30 days" in result.stderr) == (1, True)


def test_the_example_quotes_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = {"id": "1", "priceList": "retail", "version": 2}
    Stub(monkeypatch, {"GrantPreview": {"grantPreview": {"token": "pbp_1", "batch": batch, "userErrors": []}}})
    endpoint = "http://localhost:8000/graphql?region=eu&shard=1"
    result = invoke("preview", "1", "--for", "2d", "--reason", "x", "--endpoint", endpoint)
    [example] = [line for line in result.stderr.splitlines() if "curl" in line]
    assert shlex.quote(endpoint) in example
    assert shlex.split(example)[:5] == ["curl", "-G", endpoint, "-H", "Pricebook-Preview: pbp_1"]
