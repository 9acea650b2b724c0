"""Instants that are still to come, as users write them: `2027-01-31T18:00+01:00`, `2027-01-31` and `90d` alike."""

import datetime
import re
from collections.abc import Callable

import click

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

_span = re.compile(r"([1-9]\d{0,4})([mhd])", re.ASCII).fullmatch
_date = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII).fullmatch


class Until(click.ParamType[datetime.datetime]):
    """An instant with an offset; a date, which stands for its end in UTC; or a span from now in days, hours, minutes.

    `now` returns the current time.
    """

    name = "instant"

    def __init__(self, now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)) -> None:
        self._now = now

    def convert(
        self, value: str | datetime.datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime.datetime:
        """Return the instant in UTC. Raises `BadParameter` for another text, or a time without an offset."""
        if isinstance(value, datetime.datetime):
            return value
        instant = self._parse(value.strip())
        if instant is None:
            self.fail(
                f"{value!r} is not an instant: write 2027-01-31T18:00+01:00, a date such as 2027-01-31, or a span such "
                "as 90d.",
                param,
                ctx,
            )
        if instant.tzinfo is None:
            self.fail(f"{value!r} has no offset: add one, such as Z for UTC or +01:00.", param, ctx)
        return instant

    def _parse(self, text: str) -> datetime.datetime | None:
        """Return the instant, without an offset if the text has none; None for a text that names none."""
        try:
            if span := _span(text):
                return self._now() + datetime.timedelta(**{_UNITS[span[2]]: int(span[1])})
            if _date(text):
                day = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
                return day + datetime.timedelta(days=1)
            instant = datetime.datetime.fromisoformat(text)
            return instant if instant.tzinfo is None else instant.astimezone(datetime.UTC)
        except (ValueError, OverflowError):
            return None
