"""Instants and spans of time on the command line: `2027-01-31T18:00+01:00`, `2027-01-31`, `90d`."""

import datetime
import re
from collections.abc import Callable

import click

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

_MINUTE = datetime.timedelta(minutes=1)

_span = re.compile(r"([1-9]\d{0,4})([mhd])", re.ASCII).fullmatch
_date = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII).fullmatch


class Instant(click.ParamType[datetime.datetime]):
    """A time in ISO 8601 format, with an offset from UTC.

    With `spans`, also a span from now, such as `90d`; with `dates`, also a date, which stands for its end in UTC. `now`
    returns the current time.
    """

    name = "instant"

    def __init__(
        self,
        *,
        spans: bool = False,
        dates: bool = False,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._spans = spans
        self._dates = dates
        self._now = now

    def convert(
        self, value: str | datetime.datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime.datetime:
        """Return the instant in UTC. Raises `BadParameter` for a text that is not one, or has no offset from UTC."""
        if isinstance(value, datetime.datetime):
            return value
        try:
            instant = self._parse(value.strip())
            in_utc = instant.astimezone(datetime.UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not an instant: write {self._forms()}.", param, ctx)
        offset = instant.utcoffset()
        if offset is None:
            self.fail(
                f"{value!r} has no offset from UTC. A local time is missing, or happens twice, when daylight saving "
                "begins or ends: append the offset, such as +01:00, or Z for UTC.",
                param,
                ctx,
            )
        if offset % _MINUTE:
            self.fail(f"{value!r} has an offset from UTC with seconds: write hours and minutes alone.", param, ctx)
        return in_utc

    def _parse(self, text: str) -> datetime.datetime:
        """Return the instant, without an offset if the text has none. Raises `ValueError`, `OverflowError`."""
        if self._spans and (span := parse_span(text)):
            return self._now().replace(microsecond=0) + span
        if self._dates and _date(text):
            return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC) + datetime.timedelta(days=1)
        return datetime.datetime.fromisoformat(text)

    def _forms(self) -> str:
        """Return examples of what is accepted."""
        forms = ["2027-01-31T18:00+01:00"]
        if self._dates:
            forms.append("a date such as 2027-01-31")
        if self._spans:
            forms.append("a span from now such as 90d")
        return " or ".join([", ".join(forms[:-1]), forms[-1]] if len(forms) > 1 else forms)


class Span(click.ParamType[datetime.timedelta]):
    """A span of time in minutes, hours or days, such as `90m`, `12h` or `2d`."""

    name = "span"

    def convert(
        self, value: str | datetime.timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime.timedelta:
        """Return the span. Raises `BadParameter` for another text."""
        if isinstance(value, datetime.timedelta):
            return value
        span = parse_span(value.strip())
        if span is None:
            self.fail(f"{value!r} is not a span of time: write a number and m, h or d, such as 2d.", param, ctx)
        return span


def parse_span(text: str) -> datetime.timedelta | None:
    """Return the span of a text such as `90d`, and None for another text."""
    span = _span(text)
    return datetime.timedelta(**{_UNITS[span[2]]: int(span[1])}) if span else None
