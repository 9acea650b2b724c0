"""The start of commands that keep running: settings, stop signals, a port, a database."""

import errno
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

import click

from graph.http.trusted_documents import TrustedDocuments
from graph.settings import Settings, SettingsError, masked
from storage.embedded_mongodb.replica_set import EmbeddedReplicaSet, EmbeddedReplicaSetError

log = logging.getLogger("pricebook.cli")

BACKLOG = 2048
"""Maximum number of connections that wait to be accepted."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class BadSettings(click.ClickException):
    """A setting or an option is invalid; exit code 2."""

    exit_code = 2


def read_settings() -> Settings:
    """Read the settings from the environment. Raises `BadSettings`, with one line per problem."""
    try:
        settings = Settings.from_environment(os.environ)
        TrustedDocuments.from_settings(settings)
    except SettingsError as error:
        raise BadSettings("\n".join(error.problems)) from error
    return settings


def require_mongodb_uri(settings: Settings) -> str:
    """Return the URI of MongoDB. Raises `BadSettings` if it is not set."""
    if settings.mongodb_uri is None:
        raise BadSettings(
            "This command uses MongoDB itself: set PRICEBOOK_MONGODB_URI.\n"
            "`pricebook dev` prints the line that sets it to its own MongoDB."
        )
    return settings.mongodb_uri


def interrupt_on_stop_signals() -> None:
    """Raise `KeyboardInterrupt` on SIGINT, SIGTERM and SIGHUP. SIGHUP stays ignored under `nohup`."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for each in STOP_SIGNALS:
        if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, interrupt)


def ignore_stop_signals() -> None:
    """Ignore stop signals from now on, so that an orderly shutdown is not interrupted."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def listen(host: str, port: int, remedy: str) -> socket.socket:
    """Open a listening socket. Raises `BadSettings`, with the reason and the remedy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise BadSettings(f"Cannot listen on port {port} of {host}: {reason}. {remedy}") from error


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def database(settings: Settings) -> Iterator[Settings]:
    """Yield settings that have a MongoDB: the configured one, or an embedded replica set that runs in the context."""
    if settings.mongodb_uri is not None:
        log_or_print(f"Using the MongoDB at {masked(settings.mongodb_uri)}")
        yield settings
        return
    log_or_print("PRICEBOOK_MONGODB_URI is not set: starting an embedded MongoDB replica set.")
    replica_set = EmbeddedReplicaSet(settings.data_dir / "mongodb", settings.members, report=log_or_print)
    try:
        yield replace(settings, mongodb_uri=replica_set.start())
    except EmbeddedReplicaSetError as error:
        raise click.ClickException(str(error)) from error
    finally:
        ignore_stop_signals()
        replica_set.stop()


def log_or_print(line: str) -> None:
    """Log a line if logging is configured, as in a server; print it to standard error otherwise."""
    if logging.getLogger().handlers:
        log.info(line)
    else:
        click.echo(line, err=True)
