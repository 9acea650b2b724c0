"""Cursors: they come back as they were given out; what is none of its kind is refused."""

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
    """A cursor with a content that was never given out."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@given(numbers, texts)
def test_a_price_cursor_comes_back_with_its_version_and_sku(version: int, sku: str) -> None:
    written = cursors.write(PriceCursor(version, sku))
    assert cursors.read(written, PriceCursor, "after") == PriceCursor(version, sku)


@given(numbers, texts)
def test_other_cursors_come_back(number: int, name: str) -> None:
    assert cursors.read(cursors.write(NumberCursor(number)), NumberCursor, "after") == NumberCursor(number)
    assert cursors.read(cursors.write(NameCursor(name)), NameCursor, "after") == NameCursor(name)


@given(numbers, texts)
def test_a_cursor_can_stand_in_a_url_as_it_is(version: int, sku: str) -> None:
    written = cursors.write(PriceCursor(version, sku))
    assert written.isascii()
    assert written.replace("-", "").replace("_", "").isalnum()


def test_no_cursor_is_no_place() -> None:
    assert cursors.read(None, PriceCursor, "after") is None


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
def test_what_is_no_price_cursor_is_refused_and_never_an_accident(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        cursors.read(text, PriceCursor, "before")
    assert refused.value.path == ("before",)


def test_a_cursor_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        cursors.read(cursors.write(NumberCursor(1)), NameCursor, "after")
    with pytest.raises(InvalidArgument):
        cursors.read(cursors.write(NameCursor("a")), NumberCursor, "after")


def test_a_page_has_one_record_to_a_thousand() -> None:
    assert cursors.page_size(None, 20) == 20
    assert [cursors.page_size(size, 20) for size in (1, 1000)] == [1, 1000]
    for size in (0, -1, 1001):
        with pytest.raises(InvalidArgument) as refused:
            cursors.page_size(size, 20, "last")
        assert refused.value.path == ("last",)


def test_the_four_arguments_of_relay_make_a_window() -> None:
    b, y = cursors.write(PriceCursor(3, "b")), cursors.write(PriceCursor(3, "y"))
    assert cursors.price_window(3, None, None, None, None, 100) == Window(100)
    assert cursors.price_window(3, 5, b, None, y, 100) == Window(5, "b", "y")
    assert cursors.price_window(3, 100, None, 5, y, 100) == Window(5, None, "y", backward=True)


@pytest.mark.parametrize("argument", ["after", "before"])
def test_a_cursor_into_another_version_is_refused_with_the_way_to_ask(argument: str) -> None:
    given = {"after": None, "before": None, argument: cursors.write(PriceCursor(2, "a"))}
    with pytest.raises(InvalidArgument, match=r"snapshot\(version: 2\)") as refused:
        cursors.price_window(3, 10, last=None, default=100, **given)
    assert refused.value.path == (argument,)
