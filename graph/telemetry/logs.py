"""Logs: a line for each record, for people on a terminal, as JSON for programs."""

import datetime
import json
import logging
import sys
from typing import Any

from graph.request_state import current_request
from graph.telemetry.traces import trace_ids

_ACCESS_ARGUMENTS = 5
"""uvicorn's lines on requests have client, method, path, version and status."""


class JsonLines(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line."""
        said = {**_head(record), "message": record.getMessage(), **_found(record), **_raised(self, record)}
        return json.dumps(said)


class HumanLines(logging.Formatter):
    """A line as people read it; what was raised stands below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line."""
        head, found = _head(record), _found(record)
        ids = "".join(f" {name}={value}" for name, value in found.items())
        raised = "".join(f"\n{text}" for text in _raised(self, record).values())
        return f"{head['time']} {head['level']:<8} {head['logger']}: {record.getMessage()}{ids}{raised}"


class WithoutQuery(logging.Filter):
    """Takes query strings out of uvicorn's lines on requests: they have documents, and variables."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record through."""
        if isinstance(record.args, tuple) and len(record.args) == _ACCESS_ARGUMENTS:
            client, method, path, *rest = record.args
            record.args = (client, method, str(path).partition("?")[0], *rest)
        return True


def log_config(level: str, form: str) -> dict[str, Any]:
    """Return the logging of a process, for `logging.config.dictConfig`: all to standard error, in one form.

    `form` is json, human, or auto: human on a terminal.
    """
    if form == "auto":
        form = "human" if sys.stderr.isatty() else "json"
    formatter = HumanLines if form == "human" else JsonLines
    threshold = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{formatter.__module__}.{formatter.__qualname__}"}},
        "filters": {"without_query": {"()": f"{WithoutQuery.__module__}.{WithoutQuery.__qualname__}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        # uvicorn tells every request on a logger of its own, and only where that is asked for.
        "loggers": {
            "pricebook": {"level": threshold},
            "uvicorn": {"level": threshold},
            "uvicorn.access": {"level": threshold, "filters": ["without_query"]},
        },
    }


def _head(record: logging.LogRecord) -> dict[str, str]:
    at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
    }


def _found(record: logging.LogRecord) -> dict[str, str]:
    """Return by what else of the same request is found."""
    state = current_request.get()
    named = {"request_id": state.request_id.decode(), "trace_id": state.trace_id} if state else {}
    return {name: value for name, value in {**named, **trace_ids()}.items() if value}


def _raised(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, str]:
    return {"exception": formatter.formatException(record.exc_info)} if record.exc_info else {}
