"""The time limit of queries."""

import asyncio
from typing import Any

import pytest

from storage import Store
from storage.layers.reader import LayerReader
from tests.graph.api import open_settings, row, serving


async def test_a_query_over_the_time_limit_is_cancelled(
    store: Store, mongodb_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = open_settings(
        mongodb_uri=mongodb_uri, mongodb_database=store.db.name, max_seconds=3, cache_bytes=0, response_cache_bytes=0
    )
    find = LayerReader.find

    async def find_slowly(*arguments: Any, **keywords: Any) -> Any:
        await asyncio.sleep(3.5)
        return await find(*arguments, **keywords)

    async with serving(settings) as api:
        await api.create("retail")
        await api.publish("retail", [row("a")])
        query = {"query": '{ snapshot(priceList: "retail") { price(sku: "a") { amount } } }'}
        monkeypatch.setattr(LayerReader, "find", find_slowly)
        response = await api.http.post("/graphql", json=query)
        assert response.status_code == 503
        [error] = response.json()["errors"]
        assert error["extensions"]["code"] == "QUERY_TIMEOUT"
        assert "3 s" in error["message"]
        monkeypatch.setattr(LayerReader, "find", find)
        assert (await api.http.post("/graphql", json=query)).json()["data"]["snapshot"]["price"] == {"amount": "1.00"}
