"""`pricebook console`: the web application for operators."""

import socket
import webbrowser

import click
import uvicorn
from starlette.types import ASGIApp

from cli.endpoint import is_local
from cli.options import endpoint_option, token_option
from cli.startup import BACKLOG, BadSettings, interrupt_on_stop_signals, listen, url_of

DEFAULT_PORT = 8090
MAX_MESSAGE_BYTES = 1 << 20
"""Largest message of a browser; those of forms have a few kilobytes."""

GRACEFUL_SECONDS = 2
"""How long pages that are open may finish their requests when the console stops."""


@click.command()
@endpoint_option
@token_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="The interface to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    metavar="N",
    help="0 takes a free one.",
)
@click.option("--no-browser", is_flag=True, help="Do not open the browser.")
@click.option("--fd", type=int, help="Serve on this inherited listening socket, not on host and port.")
def console(endpoint: str, token: str | None, host: str, port: int, no_browser: bool, fd: int | None) -> None:
    """Serve the console for operators, and open it in the browser.

    It shows what is live, compares versions, and reviews, rolls back and schedules in your name: it needs nothing but
    the GraphQL endpoint. Without a token, it asks for one.

    Exit codes: 0 stopped by Ctrl-C or SIGTERM, 2 a setting is invalid or the port is in use.
    """
    if token and not is_local(host):
        raise BadSettings(
            f"--token, or PRICEBOOK_TOKEN, is refused with --host {host}: everyone who reaches the console would act "
            "in your name. Leave it out: the console asks each person for their own."
        )
    try:
        from console.app import Console  # noqa: PLC0415 - an extra, which takes a second to import
    except ImportError as error:
        raise BadSettings(f"The console is not installed ({error}): pip install 'pricebook[console]'.") from error
    interrupt_on_stop_signals()
    with listen(host, port, "Choose another with --port.") if fd is None else socket.socket(fileno=fd) as listener:
        served = Console(endpoint, token, loopback_only=is_local(host))
        app = served.app()
        address = url_of(listener)
        if served.key:
            address = f"{address}/open?key={served.key}"
        click.echo(f"The console of {endpoint} is at {address}\nPress Ctrl-C to stop.")
        if not no_browser:
            webbrowser.open(address)
        _serve(app, listener)


def _serve(app: ASGIApp, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        lifespan="on",
        backlog=BACKLOG,
        log_level="warning",
        access_log=False,  # it would log the key that opens the console
        proxy_headers=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        click.echo("\nStopped.")
