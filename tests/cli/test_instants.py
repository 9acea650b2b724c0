"""Instants on the command line: with an offset, as a date, which stands for its end in UTC, or as a span from now."""

import datetime

import click
import pytest

from cli.instants import Instant, Span

NOW = datetime.datetime(2026, 10, 24, 12, 30, 0, 250_000, tzinfo=datetime.UTC)


def parsed(text: str, *, spans: bool = True, dates: bool = True) -> str:
    instant = Instant(spans=spans, dates=dates, now=lambda: NOW).convert(text, None, None)
    assert instant.tzinfo is datetime.UTC
    return instant.isoformat()


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


@pytest.mark.parametrize("text", ["2027-01-31T18:00", "2027-01-31 18:00:00", "20270131"])
def test_a_time_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"has no offset from UTC\. .* daylight saving"):
        parsed(text)


@pytest.mark.parametrize("text", ["2027-01-31T18:00+01:00:30", "2027-01-31T18:00-00:00:01"])
def test_an_offset_with_seconds_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="with seconds"):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2027-02-30", "9999-12-31", "0d", "-1d", "90", "90 d", "99999999d", "٣d", "0001-01-01T00:00+12:00"],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not an instant"):
        parsed(text)


@pytest.mark.parametrize(
    ("spans", "dates", "forms"),
    [
        (False, False, r"write 2027-01-31T18:00\+01:00\."),
        (True, False, r"write 2027-01-31T18:00\+01:00 or a span from now such as 90d\."),
        (True, True, r"write 2027-01-31T18:00\+01:00, a date such as 2027-01-31 or a span from now such as 90d\."),
    ],
)
def test_the_refusal_names_what_is_accepted(*, spans: bool, dates: bool, forms: str) -> None:
    with pytest.raises(click.BadParameter, match=forms):
        parsed("soon", spans=spans, dates=dates)


def test_spans_and_dates_are_refused_where_they_are_not_accepted() -> None:
    with pytest.raises(click.BadParameter, match="is not an instant"):
        parsed("90d", spans=False)
    with pytest.raises(click.BadParameter, match="has no offset from UTC"):
        parsed("2027-01-31", dates=False)


def test_values_are_returned_as_they_are() -> None:
    assert Instant().convert(NOW, None, None) == NOW
    assert Span().convert(datetime.timedelta(1), None, None) == datetime.timedelta(1)


@pytest.mark.parametrize(("text", "minutes"), [("90m", 90), ("12h", 720), (" 2d ", 2880)])
def test_a_span_has_a_unit(text: str, minutes: int) -> None:
    assert Span().convert(text, None, None) == datetime.timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "2", "2w", "0d", "-1d", "1.5d", "1234567d", "2027-01-31"])
def test_a_text_that_is_not_a_span_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a span of time"):
        Span().convert(text, None, None)
