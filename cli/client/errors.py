"""The errors of the client."""

import click


class ApiError(click.ClickException):
    """The API does not respond, or refuses a request; exit code 1."""
