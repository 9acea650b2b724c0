"""`pricebook serve`: the server, for production and for whoever brings their own MongoDB."""

import os
import socket
from logging.config import dictConfig

import click
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from graph.cli.metrics_server import metrics_server
from graph.cli.start import (
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

DRAIN_SECONDS = 20
"""How long requests in flight are waited for after a stop signal; a pod is usually given 30 s in all."""

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

    On SIGTERM or Ctrl-C the server stops accepting, finishes what is in flight, then stops the embedded
    MongoDB if it started one.

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
        workers=settings.workers,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        proxy_headers=False,  # `graph.http.forwarded` reads them, and only where they matter
        lifespan="on",
        backlog=BACKLOG,
        log_config=log_config(settings.log_level, settings.log_format),
        access_log=settings.log_level == "debug",
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    if settings.workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
        return
    supervisor = Multiprocess(config, sockets=[listener])
    supervisor.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
        raise SystemExit(STARTUP_FAILURE)
    raise KeyboardInterrupt  # as a single server raises it: the supervisor only ends when it is told to
