"""Copies of stored documents are complete lists: a server reads them, and `pricebook check` finds nothing."""

import pytest

from bench.environment import Environment
from bench.prices import prices, publish_body, sku
from bench.queries import POINT, body, mutation
from bench.scaling.stored import Stored
from bench.servers import DATABASE
from storage import Store


@pytest.fixture
def stored(environment: Environment) -> "Stored":
    with environment.server() as server:
        server.create("template")
        server.post(publish_body("template", "first", prices(100)))
    return Stored(environment.mongodb_uri)


async def test_a_copied_list_has_its_own_layers(environment: Environment, stored: Stored) -> None:
    with stored, environment.server() as server:
        stored.copy_list("template", ["one", "other"])
        assert stored.layers("one") == 1
        server.post(publish_body("one", "second", prices(1, version=2), "MERGE"))
        assert stored.layers("one") == 2
        for name, version in (("one", 2), ("other", 1), ("template", 1)):
            found = server.post(body(POINT, list=name, sku=sku(7)))
            assert (found["version"], found["price"]["sku"]) == (version, sku(7))
        names = [stored.manifest(name, 1)[1]["layers"][0]["id"] for name in ("template", "one", "other")]
    assert len(set(names)) == 3
    store = await Store.open(environment.mongodb_uri, DATABASE)
    try:
        assert [finding async for finding in store.integrity_check().run()] == []
    finally:
        await store.close()


def test_a_copied_version_shares_its_layers(environment: Environment, stored: Stored) -> None:
    with stored, environment.server() as server:
        stored.copy_version("template", 1, range(2, 5))
        stored.set_last_version("template", 4)
        server.post(mutation("pin", priceList="template", version=1, reason="bench"))
        server.post(publish_body("template", "held", prices(1), "MERGE"))
        assert stored.batch("held")["version"] == 5
        assert stored.held("template") == 1
        assert stored.manifest("template", 3)[1]["layers"] == stored.manifest("template", 1)[1]["layers"]
