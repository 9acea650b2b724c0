"""Endpoints without a scheme or path are completed; what cannot be an endpoint is refused at once."""

import click
import pytest
from click.testing import CliRunner

from cli import exit_codes, main
from cli.client.client import http_options
from cli.endpoint import Endpoint


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        ("http://127.0.0.1:8000/graphql", "http://127.0.0.1:8000/graphql"),
        ("https://prices.example/shop/graphql", "https://prices.example/shop/graphql"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/graphql"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/graphql"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/graphql"),
        ("localhost:8000/graphql", "http://localhost:8000/graphql"),
        ("localhost", "http://localhost/graphql"),
        ("[::1]:8000", "http://[::1]:8000/graphql"),
        ("127.1.2.3:8000", "http://127.1.2.3:8000/graphql"),
        ("prices.localhost:8000", "http://prices.localhost:8000/graphql"),
        (" pricebook.prod.svc:8000 ", "https://pricebook.prod.svc:8000/graphql"),
        ("10.0.0.5:8000", "https://10.0.0.5:8000/graphql"),
        ("prices.example:8443", "https://prices.example:8443/graphql"),
        ("localhost.example:80", "https://localhost.example:80/graphql"),
        ("[::2]:8000", "https://[::2]:8000/graphql"),
        ("prices.example", "https://prices.example/graphql"),
        ("prices.example:443", "https://prices.example:443/graphql"),
        ("prices.example/api", "https://prices.example/api"),
        ("HTTPS://prices.example", "https://prices.example/graphql"),
    ],
)
def test_an_endpoint_is_completed(given: str, complete: str) -> None:
    assert Endpoint().convert(given, None, None) == complete


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "names no server"),
        ("/graphql", "names no server"),
        ("http://", "names no server"),
        ("my server:8000", "names no server"),
        ("ftp://prices.example", "not the URL of an HTTP server"),
        ("ws://prices.example/graphql", "not the URL of an HTTP server"),
        ("127.0.0.1:http", "not a URL"),
        ("127.0.0.1:99999", "not a URL"),
        ("http://[::1", "not a URL"),
    ],
)
def test_what_cannot_be_an_endpoint_is_refused_with_the_reason(given: str, reason: str) -> None:
    with pytest.raises(click.BadParameter, match=reason):
        Endpoint().convert(given, None, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "[::1]", "localhost", "prices.localhost"])
def test_requests_to_this_machine_bypass_proxies(host: str) -> None:
    assert not http_options(f"http://{host}:8000/graphql", "secret")["trust_env"]
    assert http_options("https://prices.example/graphql", "secret")["trust_env"]


@pytest.mark.parametrize("arguments", [["lists"], ["import", "--list", "shop"], ["export", "shop"], ["demo"]])
def test_every_command_refuses_it_before_it_does_anything(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, [*arguments, "--endpoint", "ftp://prices.example"])
    assert done.exit_code == exit_codes.USAGE_ERROR
    assert "begin it with http:// or https://" in done.output
