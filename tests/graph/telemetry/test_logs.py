"""Logs: one line for each record, with the IDs of its request."""

import json
import logging
import sys
from logging.config import dictConfig

import pytest

from graph.request_state import RequestState, current_request
from graph.telemetry.logs import JsonFormatter, TextFormatter, log_config


def record(message: str, *arguments: object, raised: bool = False) -> logging.LogRecord:
    exc_info = None
    if raised:
        try:
            int("a\nb")
        except ValueError:
            exc_info = sys.exc_info()
    return logging.LogRecord("pricebook.graph", logging.ERROR, __file__, 1, message, arguments, exc_info)


def test_a_record_is_one_line_of_json_whatever_it_contains() -> None:
    line = JsonFormatter().format(record("two\nlines %s \ud800", '"quoted"', raised=True))
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["message"].startswith('two\nlines "quoted"')
    assert (fields["level"], fields["logger"]) == ("ERROR", "pricebook.graph")
    assert "ValueError: invalid literal" in fields["exception"]
    assert fields["time"].endswith("Z")


def test_a_record_has_the_ids_of_its_request_and_trace() -> None:
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    token = current_request.set(RequestState({b"x-request-id": b"r-1", b"traceparent": trace}))
    try:
        fields = json.loads(JsonFormatter().format(record("x")))
        line = TextFormatter().format(record("x"))
    finally:
        current_request.reset(token)
    assert (fields["request_id"], fields["trace_id"]) == ("r-1", "4bf92f3577b34da6a3ce929d0e0e4736")
    assert "request_id=r-1" in line
    assert "request_id" not in json.loads(JsonFormatter().format(record("x")))


@pytest.mark.parametrize(("level", "logged"), [("debug", ["d", "i", "w"]), ("info", ["i", "w"]), ("warning", ["w"])])
def test_the_lowest_level_is_configurable(level: str, logged: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        dictConfig(log_config(level, "json"))
        logger = logging.getLogger("pricebook.test")
        logger.debug("d")
        logger.info("i")
        logger.warning("w")
        assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == logged
    finally:
        root.handlers[:], root.level = before
        for name in ("pricebook", "uvicorn", "uvicorn.access"):
            logging.getLogger(name).setLevel(logging.NOTSET)
