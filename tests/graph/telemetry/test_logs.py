"""Logs: each record one line, of JSON for programs, with what it is found by."""

import json
import logging
import sys
from logging.config import dictConfig

import pytest

from graph.request_state import RequestState, current_request
from graph.telemetry.logs import HumanLines, JsonLines, log_config


def record(message: str, *arguments: object, raised: bool = False) -> logging.LogRecord:
    exc_info = None
    if raised:
        try:
            int("a\nb")
        except ValueError:
            exc_info = sys.exc_info()
    return logging.LogRecord("pricebook.graph", logging.ERROR, __file__, 1, message, arguments, exc_info)


def test_a_record_is_one_line_of_json_whatever_is_in_it() -> None:
    line = JsonLines().format(record("two\nlines %s \ud800", '"quoted"', raised=True))
    assert "\n" not in line
    told = json.loads(line)
    assert told["message"].startswith('two\nlines "quoted"')
    assert (told["level"], told["logger"]) == ("ERROR", "pricebook.graph")
    assert "ValueError: invalid literal" in told["exception"]
    assert told["time"].endswith("Z")


def test_a_record_tells_the_request_and_the_trace_that_it_belongs_to() -> None:
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    token = current_request.set(RequestState({b"x-request-id": b"r-1", b"traceparent": trace}))
    try:
        told = json.loads(JsonLines().format(record("x")))
        line = HumanLines().format(record("x"))
    finally:
        current_request.reset(token)
    assert (told["request_id"], told["trace_id"]) == ("r-1", "4bf92f3577b34da6a3ce929d0e0e4736")
    assert "request_id=r-1" in line
    assert "request_id" not in json.loads(JsonLines().format(record("x")))


@pytest.mark.parametrize(("level", "told"), [("debug", ["d", "i", "w"]), ("info", ["i", "w"]), ("warning", ["w"])])
def test_the_least_severe_level_is_a_setting(level: str, told: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        dictConfig(log_config(level, "json"))
        logger = logging.getLogger("pricebook.test")
        logger.debug("d")
        logger.info("i")
        logger.warning("w")
        assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == told
    finally:
        root.handlers[:], root.level = before
        for name in ("pricebook", "uvicorn", "uvicorn.access"):
            logging.getLogger(name).setLevel(logging.NOTSET)
