"""Logging: one line for each record, as text for people or as JSON for programs."""

import datetime
import json
import logging
import sys
from typing import Any

from graph.request_state import current_request
from graph.telemetry.traces import trace_ids

_ACCESS_ARGUMENTS = 5
"""Arguments of a record of uvicorn's access log: client, method, path, version and status."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the JSON of a record."""
        fields = {**_head(record), "message": record.getMessage(), **_ids(record), **_exception(self, record)}
        return json.dumps(fields)


class TextFormatter(logging.Formatter):
    """Formats a record as one line of text, followed by its exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        head = _head(record)
        ids = "".join(f" {name}={value}" for name, value in _ids(record).items())
        exception = "".join(f"\n{text}" for text in _exception(self, record).values())
        return f"{head['time']} {head['level']:<8} {head['logger']}: {record.getMessage()}{ids}{exception}"


class QueryStringFilter(logging.Filter):
    """Removes query strings from uvicorn's access log, because they contain documents and variables."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Remove the query string of a record, and accept it."""
        if isinstance(record.args, tuple) and len(record.args) == _ACCESS_ARGUMENTS:
            client, method, path, *rest = record.args
            record.args = (client, method, str(path).partition("?")[0], *rest)
        return True


def log_config(level: str, form: str) -> dict[str, Any]:
    """Return the logging configuration of a process, for `logging.config.dictConfig`. It logs to standard error.

    `form` is json, human, or auto: human on a terminal, otherwise json.
    """
    if form == "auto":
        form = "human" if sys.stderr.isatty() else "json"
    formatter = TextFormatter if form == "human" else JsonFormatter
    threshold = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{formatter.__module__}.{formatter.__qualname__}"}},
        "filters": {"query_string": {"()": f"{QueryStringFilter.__module__}.{QueryStringFilter.__qualname__}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        # uvicorn logs requests to `uvicorn.access`, if its access log is enabled.
        "loggers": {
            "pricebook": {"level": threshold},
            "uvicorn": {"level": threshold},
            "uvicorn.access": {"level": threshold, "filters": ["query_string"]},
        },
    }


def _head(record: logging.LogRecord) -> dict[str, str]:
    at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
    }


def _ids(record: logging.LogRecord) -> dict[str, str]:
    """Return the IDs of the request and trace that a record belongs to."""
    state = current_request.get()
    request = {"request_id": state.request_id.decode(), "trace_id": state.trace_id} if state else {}
    return {name: value for name, value in {**request, **trace_ids()}.items() if value}


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, str]:
    return {"exception": formatter.formatException(record.exc_info)} if record.exc_info else {}
