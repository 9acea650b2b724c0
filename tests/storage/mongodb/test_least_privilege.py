"""The documented role of the service has every action that the service needs, and no other."""

import asyncio
import datetime
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from loaders import PointerCache
from storage import BatchMode, Gates, Retention, Store
from tests.storage.factories import held, order, row, rows, source
from tests.storage.secured import Secured, secured
from tests.waiting import until

MANUAL = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
UNAUTHORIZED = 13
PASSWORD = "s3rvice"


class NotReady(Exception):
    """The pointer cache receives no changes, so `/readyz` would fail."""


def role() -> dict[str, Any]:
    """Return the argument of `createRole` in docs/security.md."""
    found = re.search(r"<!-- role -->\n```js\n.*?createRole\((\{.*?\})\)\n", MANUAL, re.DOTALL)
    assert found, "docs/security.md has no role."
    document: dict[str, Any] = json.loads(found[1])
    return document


ACTIONS = [action for privilege in role()["privileges"] for action in privilege["actions"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured")) as server:
        yield server


@pytest.fixture
def database(server: Secured) -> Iterator[str]:
    """A database with a user who has the role and nothing else."""
    name = f"pricebook_{secrets.token_hex(4)}"
    grant(server, name, ACTIONS)
    yield name
    with server.root() as client:
        client.drop_database(name)


def grant(server: Secured, database: str, actions: list[str]) -> None:
    """Give the service's user these actions of the role."""
    definition = role()
    name, roles = definition["role"], definition["roles"]
    privileges = [
        {**each, "resource": {**each["resource"], "db": database}, "actions": [*{*each["actions"]} & {*actions}]}
        for each in definition["privileges"]
    ]
    with server.root() as client:
        db = client[database]
        exists = db.command("rolesInfo", name)["roles"]
        db.command("updateRole" if exists else "createRole", name, privileges=privileges, roles=roles)
        if not exists:
            db.command("createUser", "pricebook", pwd=PASSWORD, roles=[name])


@asynccontextmanager
async def opened(server: Secured, database: str) -> AsyncIterator[Store]:
    uri = server.uri("pricebook", PASSWORD, database)
    store = await Store.open(uri, database, grace=0, restore=0)
    try:
        yield store
    finally:
        await store.close()


async def exercise(store: Store, uri: str) -> None:
    """Run every kind of database operation of the service."""
    pointers = PointerCache(store)
    try:
        await run_operations(store, pointers, uri)
    finally:
        await pointers.stop()


async def start(pointers: PointerCache) -> None:
    try:
        async with asyncio.timeout(15):
            await pointers.start()
    except TimeoutError as error:
        raise NotReady from error
    if not pointers.alive:
        raise NotReady


async def run_operations(store: Store, pointers: PointerCache, uri: str) -> None:
    await start(pointers)
    store.expirer._settle = datetime.timedelta(0)
    store.garbage_collector._orphan_seconds = 0.0
    await store.price_list_editor.create("retail", None, Gates(min_size=1), "ops", Retention(versions=1, days=0))
    await store.submitter.submit(order(), await source(rows(50)))
    batch = await store.multipart.open(order())
    await store.multipart.append(batch.id, 0, await source(rows(5)), ())
    committed, _ = await store.multipart.commit(batch.id, 1, 5)
    await store.worker.finish(committed)
    abandoned = await store.multipart.open(order())
    await store.multipart.abort(abandoned.id, by="ops", reason="x")
    for number in range(12):
        merge = replace(order(), mode=BatchMode.MERGE)
        await store.submitter.submit(merge, await source([row("a", str(number + 1))]))
    await store.compactor.run()
    waiting = await held(store, [row("b")])
    await store.lifecycle.reject(waiting.id, by="ops", reason="x")
    await store.pointer_moves.unpin("retail", by="ops", reason="x")
    await store.pointer_moves.rollback("retail", 3, by="ops", reason="x", expected_version=None, pin=False)
    current = (await store.price_lists.get("retail")).current_version

    async def is_up_to_date() -> bool:
        pointer = pointers.known("retail")
        return pointer is not None and pointer.current_version == current

    await until(is_up_to_date, "updated by the change stream")
    await store.processes.beat(pointers.revisions())
    for _ in range(3):
        await store.expirer.expire("retail", by="ops")
    await store.garbage_collector.collect()
    made, key = await store.api_keys.create("ada", ["admin"], "ops")
    assert await store.api_keys.find(key)
    await store.api_keys.record_use(made.id)
    await store.api_keys.revoke(made.id)
    async with Store.open_existing(uri, store.db.name) as existing:
        assert [finding async for finding in existing.integrity_check().run()] == []


async def test_the_documented_role_is_sufficient(server: Secured, database: str) -> None:
    async with opened(server, database) as store:
        await exercise(store, server.uri("pricebook", PASSWORD, database))


@pytest.mark.parametrize("action", ACTIONS)
async def test_every_action_of_the_role_is_necessary(server: Secured, database: str, action: str) -> None:
    grant(server, database, [each for each in ACTIONS if each != action])
    with pytest.raises((OperationFailure, NotReady)) as caught:
        async with asyncio.timeout(60), opened(server, database) as store:
            await exercise(store, server.uri("pricebook", PASSWORD, database))
    assert getattr(caught.value, "code", UNAUTHORIZED) == UNAUTHORIZED


async def test_the_role_gives_no_access_to_other_databases(server: Secured, database: str) -> None:
    async with opened(server, database) as store:
        for name in ("admin", "other"):
            with pytest.raises(OperationFailure, match="not authorized"):
                await store.client[name]["things"].insert_one({})
