"""The LRU behaves as a list of entries in the order of their use, cut to its capacity."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.lru import LRU


class Model:
    """The same by the simplest means: a list, least recently used first."""

    def __init__(self, capacity: int, *, weighed: bool) -> None:
        self.capacity = capacity
        self.weighed = weighed
        self.entries: list[tuple[str, int]] = []
        self.evictions = 0

    @property
    def weight(self) -> int:
        return sum(value if self.weighed else 1 for _, value in self.entries)

    def peek(self, key: str) -> int | None:
        return dict(self.entries).get(key)

    def get(self, key: str) -> int | None:
        value = self.pop(key)
        if value is not None:
            self.entries.append((key, value))
        return value

    def put(self, key: str, value: int) -> None:
        self.pop(key)
        if (value if self.weighed else 1) > self.capacity:
            return
        self.entries.append((key, value))
        while self.weight > self.capacity:
            del self.entries[0]
            self.evictions += 1

    def pop(self, key: str) -> int | None:
        value = self.peek(key)
        self.entries = [entry for entry in self.entries if entry[0] != key]
        return value

    def clear(self) -> None:
        self.entries = []


KEYS = st.sampled_from("abcdef")
CALLS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.integers(0, 12)),
    st.tuples(st.sampled_from(["get", "peek", "pop"]), KEYS),
    st.tuples(st.just("clear")),
)


@pytest.mark.parametrize("weighed", [False, True])
@given(capacity=st.integers(0, 10), calls=st.lists(CALLS, max_size=60))
def test_any_sequence_of_calls_gives_what_the_model_gives(
    weighed: bool, capacity: int, calls: list[tuple[Any, ...]]
) -> None:
    lru: LRU[str, int] = LRU(capacity, (lambda _, value: value) if weighed else None)
    model = Model(capacity, weighed=weighed)
    for name, *arguments in calls:
        assert getattr(lru, name)(*arguments) == getattr(model, name)(*arguments)
        assert [(key, lru.peek(key)) for key in lru] == model.entries
        assert (lru.weight, lru.evictions, len(lru)) == (model.weight, model.evictions, len(model.entries))
        assert {key for key in "abcdef" if key in lru} == {key for key, _ in model.entries}


def test_the_least_recently_used_entry_is_evicted_first() -> None:
    lru: LRU[str, int] = LRU(2)
    lru.put("a", 1)
    lru.put("b", 2)
    lru.get("a")
    lru.put("c", 3)
    assert list(lru) == ["a", "c"]
    assert lru.evictions == 1


def test_peek_does_not_count_as_use() -> None:
    lru: LRU[str, int] = LRU(2)
    lru.put("a", 1)
    lru.put("b", 2)
    assert lru.peek("a") == 1
    lru.put("c", 3)
    assert lru.peek("a") is None


def test_a_value_heavier_than_the_capacity_evicts_nothing() -> None:
    lru: LRU[str, str] = LRU(5, lambda _, value: len(value))
    lru.put("a", "xx")
    lru.put("b", "x" * 6)
    assert (list(lru), lru.weight) == (["a"], 2)
