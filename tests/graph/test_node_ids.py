"""Global ids: each names one object, and no malformed one is taken for another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.node_ids import NodeId, parse_node_id, price_id, price_list_id, snapshot_id
from storage import InvalidArgument

names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)
versions = st.integers(1, 2**31 - 1)
skus = st.text(min_size=1, max_size=60)


@given(names, versions, skus)
def test_an_id_names_the_list_the_version_and_the_sku(name: str, version: int, sku: str) -> None:
    assert parse_node_id(price_id(name, version, sku)) == NodeId(name, version, sku)
    assert parse_node_id(snapshot_id(name, version)) == NodeId(name, version)
    assert parse_node_id(price_list_id(name)) == NodeId(name)


@pytest.mark.parametrize("text", ["", "6745fd8a", "price:ecb:1:USD", "Batch:1"])
def test_an_id_of_no_other_type_is_that_of_a_batch(text: str) -> None:
    assert parse_node_id(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Price",
        "Price:",
        "Price:ecb",
        "Price:ecb:1",
        "Price:ECB:1:USD",
        "Price:ecb:0:USD",
        "Price:ecb:-1:USD",
        "Price:ecb:1.0:USD",
        "Price:ecb:\u0661:USD",
        "Price:ecb:2147483648:USD",
        f"Price:ecb:{'9' * 5000}:USD",
        f"Price:ecb:1:{'x' * 400}",
        "Snapshot:ecb",
        "Snapshot:ecb:",
        "Snapshot:ecb:1:",
        "PriceList:",
        "PriceList:e cb",
        "PriceList:ecb:1",
    ],
)
def test_a_malformed_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_node_id(text)
    assert caught.value.path == ("id",)
    assert len(caught.value.message) < 300
