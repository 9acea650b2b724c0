"""Instants on the command line: with an offset, as a date, which stands for its end in UTC, or as a span from now."""

import datetime

import click
import pytest

from cli.until import Until

NOW = datetime.datetime(2026, 10, 24, 12, 30, tzinfo=datetime.UTC)


def parsed(text: str) -> str:
    return Until(lambda: NOW).convert(text, None, None).isoformat()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2027-01-31T18:00:00Z", "2027-01-31T18:00:00+00:00"),
        ("2027-01-31T18:00+01:00", "2027-01-31T17:00:00+00:00"),
        ("2027-01-31 18:00-05:30", "2027-01-31T23:30:00+00:00"),
        ("2027-01-31", "2027-02-01T00:00:00+00:00"),
        (" 2027-12-31 ", "2028-01-01T00:00:00+00:00"),
        ("90d", "2027-01-22T12:30:00+00:00"),
        ("12h", "2026-10-25T00:30:00+00:00"),
        ("45m", "2026-10-24T13:15:00+00:00"),
    ],
)
def test_an_instant_is_returned_in_utc(text: str, instant: str) -> None:
    assert parsed(text) == instant


@pytest.mark.parametrize("text", ["2027-01-31T18:00", "2027-01-31 18:00:00"])
def test_a_time_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="has no offset: add one"):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2027-02-30", "9999-12-31", "0d", "-1d", "90", "90 d", "99999999d", "٣d", "0001-01-01T00:00+12:00"],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not an instant"):
        parsed(text)


def test_an_instant_is_returned_as_it_is() -> None:
    assert Until().convert(NOW, None, None) == NOW
