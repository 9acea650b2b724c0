"""Endpoints as users write them: `prices.example`, `127.0.0.1:8000` and `https://prices.example/graphql` alike."""

from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

import click

DEFAULT_ENDPOINT = "http://127.0.0.1:8000/graphql"

PATH = "/graphql"
"""The path of an endpoint that is given without one."""


class Endpoint(click.ParamType[str]):
    """The URL of a GraphQL endpoint; a missing scheme or path is added.

    Without a scheme, it is `http` for this machine and `https` for every other, so that no token is sent in clear text.
    """

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the complete URL. Raises `BadParameter` for a text that cannot name an endpoint."""
        text = value.strip()
        given = text if "://" in text else f"//{text}"
        try:
            parts = urlsplit(given)
            _ = parts.port  # raises for a text that is no port
        except ValueError as error:
            self.fail(f"{value!r} is not a URL: {error}.", param, ctx)
        if not parts.hostname or any(character.isspace() for character in text):
            self.fail(f"{value!r} names no server. Write it like https://prices.example{PATH}.", param, ctx)
        scheme = parts.scheme or _scheme(parts.hostname)
        if scheme not in ("http", "https"):
            self.fail(f"{value!r} is not the URL of an HTTP server: begin it with http:// or https://.", param, ctx)
        path = parts.path if parts.path.strip("/") else PATH
        return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


def _scheme(host: str) -> str:
    return "http" if is_local(host) else "https"


def is_local(host: str) -> bool:
    """Whether a host is this machine by its name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
