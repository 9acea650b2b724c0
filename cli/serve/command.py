"""`pricebook serve`: the server."""

import logging
import os
import socket
from ipaddress import ip_network
from logging.config import dictConfig

import click
import uvicorn

from cli.serve.descriptors import allow_connections
from cli.serve.graceful_server import FINISH_TIMEOUT_SECONDS, Server
from cli.serve.http_protocol import HttpProtocol
from cli.serve.metrics_server import metrics_server
from cli.serve.websocket_protocol import MAX_MESSAGE_BYTES, WebSocketProtocol
from cli.serve.workers import Workers
from cli.startup import (
    BACKLOG,
    BadSettings,
    database,
    interrupt_on_stop_signals,
    listen,
    log_or_print,
    read_settings,
    url_of,
)
from graph.settings import VARIABLES, Settings
from graph.telemetry.logs import log_config
from graph.telemetry.traces import TRACES, TracesError

IDLE_TIMEOUT_SECONDS = 75
"""How long an idle connection is kept: longer than load balancers keep it, usually 60 s, so that they close it first
and never send a request on a connection that the server is closing."""

PRIVATE_RANGES = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")))
"""Ranges that no installation has for its load balancers alone."""

log = logging.getLogger("pricebook.cli")

_SETTINGS_HELP = "\b\nSettings, from the environment:\n\n" + "\n\n".join(
    f"\b\n  {variable.name}{f' (default {variable.default})' if variable.default else ''}\n"
    f"      {variable.meaning.replace('`', '')}"
    for variable in VARIABLES
)


@click.command(epilog=_SETTINGS_HELP)
@click.option("--fd", type=int, help="Serve on this inherited listening socket, not on host and port.")
def serve(fd: int | None) -> None:
    """Run the server until a signal stops it.

    /graphql serves GraphQL to programs, and an editor to browsers; /healthz reports whether the process lives, /readyz
    whether it accepts requests.

    On SIGTERM the server drains: /readyz responds 503 at once. After PRICEBOOK_DRAIN_SECONDS, in which load balancers
    move their traffic away, the server refuses new connections, completes subscriptions, finishes requests in
    progress, and stops the embedded MongoDB if it started one. Ctrl-C skips the drain time. SIGHUP replaces the
    workers one at a time, if there are several.

    Exit codes: 0 stopped by a signal, 1 MongoDB could not be started, 2 a setting is invalid or the port is in use,
    3 the application could not start.
    """
    settings = read_settings()
    _check_traces()
    dictConfig(log_config(settings.log_level, settings.log_format))
    _warn_of_wide_networks(settings.balancers)
    interrupt_on_stop_signals()
    if fd is None:
        listener = listen(settings.host, settings.port, "Set PRICEBOOK_HOST and PRICEBOOK_PORT to another address.")
    else:
        listener = socket.socket(fileno=fd)
    try:
        with listener, metrics_server(settings.host, settings.metrics_port), database(settings) as settings:
            log_or_print(f"Listening on {url_of(listener)}/graphql")
            _run(settings, listener)
    except KeyboardInterrupt:
        log_or_print("Stopped.")


def _warn_of_wide_networks(balancers: str) -> None:
    """Warn if `X-Forwarded-For` is trusted from a whole private range, or from more."""
    wide = [name for name in balancers.split() if _has_private_range(name)]
    if wide:
        log.warning(
            "PRICEBOOK_BALANCERS trusts X-Forwarded-For from %s: a caller there can claim any address, and evade what "
            "is counted by address. Set it to the networks of your load balancers.",
            " and ".join(wide),
        )


def _has_private_range(name: str) -> bool:
    network = ip_network(name)
    return any(each.network_address in network and each.prefixlen >= network.prefixlen for each in PRIVATE_RANGES)


def _check_traces() -> None:
    try:
        TRACES.check()
    except TracesError as error:
        raise BadSettings(str(error)) from error


def _run(settings: Settings, listener: socket.socket) -> None:
    # Worker processes and the application factory read the settings from the environment.
    os.environ.update(settings.to_environment())
    config = uvicorn.Config(
        "graph.app:app_from_environment",
        factory=True,
        loop="uvloop",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # a frame of 16 KB could expand to 16 MB
        proxy_headers=False,  # `graph.middleware.trusted_proxies` reads them from trusted proxies only
        lifespan="on",
        backlog=BACKLOG,
        log_config=log_config(settings.log_level, settings.log_format),
        access_log=settings.log_level == "debug",
        server_header=False,
        timeout_graceful_shutdown=FINISH_TIMEOUT_SECONDS,
        timeout_keep_alive=IDLE_TIMEOUT_SECONDS,
    )
    max_connections = allow_connections(settings.max_connections)
    if settings.workers == 1:
        Server(config, settings.drain_seconds, max_connections).run(sockets=[listener])
        return
    Workers(config, listener, settings.drain_seconds, max_connections).run(settings.workers)
    raise KeyboardInterrupt  # as a single server does: both end only by a signal
