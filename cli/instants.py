"""Instants on the command line: a time with its offset from UTC."""

import datetime

import click


class Instant(click.ParamType[datetime.datetime]):
    """A time in ISO 8601 format, with an offset from UTC."""

    name = "instant"

    def convert(
        self, value: str | datetime.datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime.datetime:
        """Return the instant of a text. Fails for a text that is no time, or a time without an offset."""
        try:
            instant = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time in ISO 8601 format, such as 2026-11-28T00:00:00+01:00.", param, ctx)
        if instant.utcoffset() is None:
            self.fail(
                f"{value} has no offset from UTC. A local time is missing, or happens twice, when daylight saving "
                "begins or ends: write the offset, as in 2026-11-28T00:00:00+01:00, or Z for UTC.",
                param,
                ctx,
            )
        return instant
