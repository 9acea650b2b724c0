"""Cursors decode to what was encoded; malformed cursors and those of another kind are refused."""

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph import cursors
from graph.cursors import NameCursor, NumberCursor, PriceCursor
from loaders import Window
from storage import InvalidArgument

numbers = st.integers(1, 2**31 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=256)


def forged(content: object) -> str:
    """Return a cursor with forged content."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@given(numbers, texts)
def test_a_price_cursor_decodes_to_its_version_and_sku(version: int, sku: str) -> None:
    text = cursors.encode(PriceCursor(version, sku))
    assert cursors.decode(text, PriceCursor, "after") == PriceCursor(version, sku)


@given(numbers, texts)
def test_name_and_number_cursors_decode_to_what_was_encoded(number: int, name: str) -> None:
    assert cursors.decode(cursors.encode(NumberCursor(number)), NumberCursor, "after") == NumberCursor(number)
    assert cursors.decode(cursors.encode(NameCursor(name)), NameCursor, "after") == NameCursor(name)


@given(numbers, texts)
def test_a_cursor_needs_no_escaping_in_a_url(version: int, sku: str) -> None:
    text = cursors.encode(PriceCursor(version, sku))
    assert text.isascii()
    assert text.replace("-", "").replace("_", "").isalnum()


def test_no_cursor_decodes_to_none() -> None:
    assert cursors.decode(None, PriceCursor, "after") is None


@given(st.text())
@example("")
@example("A" * 5000)
@example(forged(["price", 1]))
@example(forged(["price", 0, "a"]))
@example(forged(["price", 2**31, "a"]))
@example(forged(["price", 2**70, "a"]))
@example(forged(["price", 1.5, "a"]))
@example(forged(["name", "a"]))
@example(forged({"version": 1, "sku": "a"}))
def test_a_malformed_price_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        cursors.decode(text, PriceCursor, "before")
    assert refused.value.path == ("before",)


def test_a_cursor_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        cursors.decode(cursors.encode(NumberCursor(1)), NameCursor, "after")
    with pytest.raises(InvalidArgument):
        cursors.decode(cursors.encode(NameCursor("a")), NumberCursor, "after")


def test_a_page_size_is_from_one_to_a_thousand() -> None:
    assert cursors.page_size(None, 20) == 20
    assert [cursors.page_size(size, 20) for size in (1, 1000)] == [1, 1000]
    for size in (0, -1, 1001):
        with pytest.raises(InvalidArgument) as refused:
            cursors.page_size(size, 20, "last")
        assert refused.value.path == ("last",)


def test_the_four_arguments_of_relay_give_a_window() -> None:
    b, y = cursors.encode(PriceCursor(3, "b")), cursors.encode(PriceCursor(3, "y"))
    assert cursors.price_window(3, None, None, None, None) == Window(100)
    assert cursors.price_window(3, 5, b, None, y) == Window(5, "b", "y")
    assert cursors.price_window(3, 100, None, 5, y) == Window(5, None, "y", backward=True)


@pytest.mark.parametrize("argument", ["after", "before"])
def test_the_refusal_of_a_cursor_of_another_version_names_that_version(argument: str) -> None:
    arguments = {"after": None, "before": None, argument: cursors.encode(PriceCursor(2, "a"))}
    with pytest.raises(InvalidArgument, match=r"snapshot\(version: 2\)") as refused:
        cursors.price_window(3, 10, last=None, **arguments)
    assert refused.value.path == (argument,)
