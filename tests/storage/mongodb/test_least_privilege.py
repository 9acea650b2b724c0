"""The documented roles of the service have every action that the service needs, and no other."""

import asyncio
import datetime
import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from loaders import PointerCache
from storage import BatchMode, Gates, Retention, Store
from storage.layers.block import collection_of
from storage.mongodb.connection import LAYERS_SUFFIX
from tests.storage.factories import errors_of, held, order, row, rows, source
from tests.storage.secured import Secured, secured
from tests.waiting import until

MANUAL = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
UNAUTHORIZED = 13
REFUSED_BY_VALIDATOR = 121
PASSWORD = "s3rvice"
ROLE = "pricebookService"


class NotReady(Exception):
    """The pointer cache receives no changes, so `/readyz` would fail."""


def privileges() -> list[dict[str, Any]]:
    """Return the privileges of the roles in docs/security.md, one in each database."""
    found = re.findall(r"createRole\((\{.*?\n\})\)\n", MANUAL, re.DOTALL)
    roles = [json.loads(role) for role in found]
    assert [role["privileges"][0]["resource"]["db"] for role in roles] == ["pricebook", f"pricebook{LAYERS_SUFFIX}"]
    assert all(role["role"] == ROLE and len(role["privileges"]) == 1 and not role["roles"] for role in roles)
    return [role["privileges"][0] for role in roles]


ACTIONS = [
    (privilege["resource"]["db"].removeprefix("pricebook"), action)
    for privilege in privileges()
    for action in privilege["actions"]
]
"""The actions of the roles, each with the suffix of its database."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured")) as server:
        yield server


@pytest.fixture
def database(server: Secured) -> Iterator[str]:
    """A database, and that of its layers, with a user who has the roles and nothing else."""
    name = f"pricebook_{secrets.token_hex(4)}"
    grant(server, name, ACTIONS)
    yield name
    with server.root() as client:
        client.drop_database(name)
        client.drop_database(f"{name}{LAYERS_SUFFIX}")


def grant(server: Secured, database: str, actions: Sequence[tuple[str, str]]) -> None:
    """Give the service's user these actions of its roles."""
    with server.root() as client:
        roles = []
        for suffix in ("", LAYERS_SUFFIX):
            db = client[f"{database}{suffix}"]
            allowed = [action for each, action in actions if each == suffix]
            privilege = {"resource": {"db": db.name, "collection": ""}, "actions": allowed}
            verb = "update" if db.command("rolesInfo", ROLE)["roles"] else "create"
            db.command(f"{verb}Role", ROLE, privileges=[privilege], roles=[])
            roles.append({"role": ROLE, "db": db.name})
        if not client[database].command("usersInfo", "pricebook")["users"]:
            client[database].command("createUser", "pricebook", pwd=PASSWORD, roles=roles)


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
    failed = await store.submitter.submit(order(), await source([row("a", "-1")]))
    assert len(await errors_of(store, failed)) == 1
    abandoned = await store.multipart.open(order())
    await store.multipart.abort(abandoned.id, by="ops", reason="x")
    for number in range(12):
        merge = replace(order(), mode=BatchMode.MERGE)
        await store.submitter.submit(merge, await source([row("a", str(number + 1))]))
    fold = await store.compactor.next_fold("retail")
    assert fold is not None
    await store.compactor.fold(fold)
    waiting = await held(store, [row("b")])
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    token, _ = await store.previews.grant(waiting.id, tomorrow, by="ops", reason="x")
    assert await store.previews.find(token)
    await store.previews.revoke(waiting.id, by="ops", reason="x")
    await store.lifecycle.reject(waiting.id, by="ops", reason="x")
    await store.pointer_moves.unpin("retail", by="ops", reason="x")
    release = await store.release_editor.create("Spring", "spring", by="ops")
    await store.submitter.submit(order(release=release.id), await source([row("c")]))
    await store.release_publisher.publish(release.id, by="ops")
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
    await store.layer_writer.create("abandoned")
    await store.layer_writer.drop("abandoned")  # the collector logs that it may not
    await store.deleter.delete("retail", by="ops", reason="x", force=True)
    await store.deleter.purge("retail")
    made, key = await store.api_keys.create("ada", ["admin"], "ops")
    assert await store.api_keys.find(key)
    await store.api_keys.record_use(made.id)
    await store.api_keys.revoke(made.id)
    async with Store.open_existing(uri, store.db.name) as existing:
        assert [finding async for finding in existing.integrity_check().run()] == []


async def test_the_documented_roles_are_sufficient(server: Secured, database: str) -> None:
    async with opened(server, database) as store:
        await exercise(store, server.uri("pricebook", PASSWORD, database))


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action[1]}{action[0]}")
async def test_every_action_of_the_roles_is_necessary(server: Secured, database: str, action: tuple[str, str]) -> None:
    grant(server, database, [each for each in ACTIONS if each != action])
    with pytest.raises((OperationFailure, NotReady)) as caught:
        async with asyncio.timeout(60), opened(server, database) as store:
            await exercise(store, server.uri("pricebook", PASSWORD, database))
    assert getattr(caught.value, "code", UNAUTHORIZED) == UNAUTHORIZED


@pytest.mark.parametrize("sealed", [True, False])
async def test_the_server_refuses_to_change_a_block(server: Secured, database: str, sealed: bool) -> None:
    async with opened(server, database) as store:
        await store.price_list_editor.create("retail", None, Gates(), "ops", Retention())
        await store.submitter.submit(order(), await source(rows(50)))
        [layer] = await store.layer_writer.all()
        if not sealed:
            await store.layer_writer.create(layer := "unsealed")
        collection = store.layers_db[collection_of(layer)]
        changes: list[Awaitable[Any]] = [
            collection.update_many({}, {"$set": {"data": b""}}),
            collection.replace_one({"_id": 0}, {"format": 1}, upsert=True),
            collection.find_one_and_update({"_id": 0}, {"$set": {"data": b""}}),
            collection.delete_many({}),
            collection.find_one_and_delete({"_id": 0}),
            collection.rename(f"{collection.name}.renamed"),
            store.layers_db["other"].aggregate([{"$documents": []}, {"$merge": collection.name}]),
            collection.insert_one({"_id": "z"}, bypass_document_validation=True),
        ]
        for change in changes:
            with pytest.raises(OperationFailure) as caught:
                await change
            assert caught.value.code == UNAUTHORIZED
        if sealed:
            with pytest.raises(OperationFailure) as caught:
                await collection.insert_one({"_id": "z"})
            assert caught.value.code == REFUSED_BY_VALIDATOR
            async with Store.open_existing(server.uri("pricebook", PASSWORD, database), database) as existing:
                assert [finding async for finding in existing.integrity_check().run()] == []


async def test_the_roles_give_no_access_to_other_databases(server: Secured, database: str) -> None:
    async with opened(server, database) as store:
        for name in ("admin", "other"):
            with pytest.raises(OperationFailure, match="not authorized"):
                await store.client[name]["things"].insert_one({})
