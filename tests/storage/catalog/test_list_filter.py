"""Reach: what a set of lists has is what a query for it finds."""

from hypothesis import given
from hypothesis import strategies as st

from storage import ALL_LISTS, ListFilter, Store
from storage.mongodb.connection import Document

names = st.from_regex(r"[a-c][a-c.]{0,3}", fullmatch=True)
reaches = st.builds(
    ListFilter, st.just(False), st.frozensets(names, max_size=3), st.lists(names, max_size=3).map(tuple)
) | st.just(ALL_LISTS)


@given(reaches, reaches, names)
def test_of_two_together_there_is_what_is_in_either(one: ListFilter, other: ListFilter, name: str) -> None:
    assert (name in one | other) is (name in one or name in other)


def test_nothing_is_within_a_reach_of_nothing() -> None:
    assert "a" not in ListFilter()
    assert "" not in ListFilter()


async def test_a_query_finds_the_lists_within_reach(store: Store) -> None:
    there: list[Document] = [{"_id": name} for name in ("a", "a.b", "a/", "aa", "ab", "b", "ba", "b\U0010fffe", "c")]
    await store.db["things"].insert_many(there)
    for reach in (
        ListFilter(),
        ALL_LISTS,
        ListFilter(names=frozenset({"a", "missing"})),
        ListFilter(prefixes=("a",)),
        ListFilter(names=frozenset({"c"}), prefixes=("aa", "b")),
    ):
        found = {document["_id"] async for document in store.db["things"].find(reach.query("_id"))}
        assert found == {document["_id"] for document in there if document["_id"] in reach}
