"""What every command that keeps running does first: settings, stop signals, a port, a database."""

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
"""Connections that may wait to be accepted."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class BadSettings(click.ClickException):
    """What was asked for in the environment or on the command line cannot be; exit code 2."""

    exit_code = 2


def read_settings() -> Settings:
    """Read this process's environment; ends the command with one line for each thing wrong in it."""
    try:
        settings = Settings.from_environment(os.environ)
        TrustedDocuments.from_settings(settings)
    except SettingsError as error:
        raise BadSettings("\n".join(error.problems)) from error
    return settings


def interrupt_on_stop_signals() -> None:
    """Make SIGINT, SIGTERM and SIGHUP a `KeyboardInterrupt`, all three alike. `nohup` is respected."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for each in STOP_SIGNALS:
        if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, interrupt)


def ignore_stop_signals() -> None:
    """Pass over them from now on: what was started is being stopped, in order, however impatient the sender."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def listen(host: str, port: int, remedy: str) -> socket.socket:
    """Open a socket that listens there; ends the command with reason and remedy where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise BadSettings(f"Cannot listen on port {port} of {host}: {why}. {remedy}") from error


def address_of(listener: socket.socket) -> str:
    """Return the URL under which a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def database(settings: Settings) -> Iterator[Settings]:
    """Give the settings a MongoDB: the one they name, or an embedded set that ends with the context."""
    if settings.mongodb_uri is not None:
        say(f"Using the MongoDB at {masked(settings.mongodb_uri)}")
        yield settings
        return
    say("PRICEBOOK_MONGODB_URI is not set: starting an embedded MongoDB replica set.")
    devset = EmbeddedReplicaSet(settings.data_dir / "mongodb", settings.members, say=say)
    try:
        yield replace(settings, mongodb_uri=devset.start())
    except EmbeddedReplicaSetError as error:
        raise click.ClickException(str(error)) from error
    finally:
        ignore_stop_signals()
        devset.stop()


def say(line: str) -> None:
    """Tell what is going on: the log of a server, and the person at the terminal where there is none."""
    if logging.getLogger().handlers:
        log.info(line)
    else:
        click.echo(line, err=True)
