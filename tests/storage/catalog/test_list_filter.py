"""List filters: a filter contains the lists that its query finds."""

from hypothesis import given
from hypothesis import strategies as st

from storage import ALL_LISTS, ListFilter, Store
from storage.mongodb.connection import Document

names = st.from_regex(r"[a-c][a-c.]{0,3}", fullmatch=True)
filters = st.builds(
    ListFilter, st.just(False), st.frozensets(names, max_size=3), st.lists(names, max_size=3).map(tuple)
) | st.just(ALL_LISTS)


@given(filters, filters, names)
def test_a_union_contains_the_lists_of_both_filters(one: ListFilter, other: ListFilter, name: str) -> None:
    assert (name in one | other) is (name in one or name in other)


def test_an_empty_filter_contains_no_list() -> None:
    assert "a" not in ListFilter()
    assert "" not in ListFilter()


async def test_a_query_finds_the_lists_of_the_filter(store: Store) -> None:
    documents: list[Document] = [
        {"_id": name} for name in ("a", "a.b", "a/", "aa", "ab", "b", "ba", "b\U0010fffe", "c")
    ]
    await store.db["things"].insert_many(documents)
    for list_filter in (
        ListFilter(),
        ALL_LISTS,
        ListFilter(names=frozenset({"a", "missing"})),
        ListFilter(prefixes=("a",)),
        ListFilter(names=frozenset({"c"}), prefixes=("aa", "b")),
    ):
        found = {document["_id"] async for document in store.db["things"].find(list_filter.query("_id"))}
        assert found == {document["_id"] for document in documents if document["_id"] in list_filter}
