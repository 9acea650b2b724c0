"""`pricebook serve`: the server, for production and for whoever brings their own MongoDB."""

import os
import socket
from logging.config import dictConfig

import click
import uvicorn

from cli.serve.graceful_server import FINISH_SECONDS, Server
from cli.serve.metrics_server import metrics_server
from cli.serve.workers import Workers
from cli.startup import (
    BACKLOG,
    BadSettings,
    address_of,
    database,
    interrupt_on_stop_signals,
    listen,
    read_settings,
    say,
)
from graph.settings import VARIABLES, Settings
from graph.telemetry.logs import log_config
from graph.telemetry.traces import TRACES, TracesError

IDLE_SECONDS = 75
"""How long an idle connection is kept: longer than by load balancers, which keep it for a minute, so that they close it
and never use one that is being closed."""

_MANUAL = "\b\nSettings, from the environment:\n\n" + "\n\n".join(
    f"\b\n  {variable.name}{f' (default {variable.default})' if variable.default else ''}\n"
    f"      {variable.meaning.replace('`', '')}"
    for variable in VARIABLES
)


@click.command(epilog=_MANUAL)
@click.option("--fd", type=int, help="Serve on this inherited, listening socket instead of host and port.")
def serve(fd: int | None) -> None:
    """Run the server until it is told to stop.

    GraphQL is served on /graphql, to programs by POST and to a browser as an editor; /healthz tells whether
    the process lives, /readyz whether it can take requests.

    On SIGTERM the server drains: /readyz answers 503 at once, and after PRICEBOOK_DRAIN_SECONDS, in which the
    balancer turns elsewhere, it takes no more connections, completes subscriptions, finishes what is in flight,
    then stops the embedded MongoDB if it started one. Ctrl-C leaves out the drain time. SIGHUP replaces the
    workers one at a time, where there are several.

    Exit codes: 0 stopped as told, 1 MongoDB could not be started, 2 bad settings or the port is taken,
    3 the application could not start.
    """
    settings = read_settings()
    _check_traces()
    dictConfig(log_config(settings.log_level, settings.log_format))
    interrupt_on_stop_signals()
    if fd is None:
        listener = listen(settings.host, settings.port, "Set PRICEBOOK_HOST and PRICEBOOK_PORT to another address.")
    else:
        listener = socket.socket(fileno=fd)
    try:
        with listener, metrics_server(settings.host, settings.metrics_port), database(settings) as settings:
            say(f"Listening on {address_of(listener)}/graphql")
            _run(settings, listener)
    except KeyboardInterrupt:
        say("Stopped.")


def _check_traces() -> None:
    try:
        TRACES.check()
    except TracesError as error:
        raise BadSettings(str(error)) from error


def _run(settings: Settings, listener: socket.socket) -> None:
    # Worker processes and the application's factory read the settings from here.
    os.environ.update(settings.to_environment())
    config = uvicorn.Config(
        "graph.app:app_from_environment",
        factory=True,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        proxy_headers=False,  # `graph.middleware.trusted_proxies` reads them, and only where they matter
        lifespan="on",
        backlog=BACKLOG,
        log_config=log_config(settings.log_level, settings.log_format),
        access_log=settings.log_level == "debug",
        server_header=False,
        timeout_graceful_shutdown=FINISH_SECONDS,
        timeout_keep_alive=IDLE_SECONDS,
    )
    if settings.workers == 1:
        Server(config, settings.drain_seconds).run(sockets=[listener])
        return
    Workers(config, listener, settings.drain_seconds).run(settings.workers)
    raise KeyboardInterrupt  # as a single server raises it: both only end when they are told to
