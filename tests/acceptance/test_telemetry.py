"""The telemetry of a server: a log of JSON lines without secrets, and traces."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from tests.acceptance.command import Command, running

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRETS = ("t0p-secret-token", "secret-sku", "hunter2")
READ = 'query Read($s: ID!) { snapshot(priceList: "none") { price(sku: $s) { amount } } }'


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Run a collector of traces (OTLP over HTTP); yield its URL and the received request bodies."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            thread.join()


def ask(run: Command) -> httpx.Response:
    match = re.search(r"Listening on (http://[\w.:]+)/graphql", run.output)
    assert match is not None
    with httpx.Client(trust_env=False, timeout=30) as client:
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-request-id": "order-7"}
        client.post(f"{match[1]}/graphql", json={}, headers={**headers, "authorization": f"Bearer {SECRETS[0]}"})
        body = {"query": READ, "operationName": "Read", "variables": {"s": SECRETS[1]}}
        client.get(
            f"{match[1]}/graphql", params={"query": READ, "variables": json.dumps(body["variables"])}, headers=headers
        )
        return client.post(f"{match[1]}/graphql", json=body, headers=headers)


def test_a_server_logs_json_lines_without_secrets_and_sends_its_traces(tmp_path: Path, mongodb_uri: str) -> None:
    with collector() as (address, bodies):
        environ = {
            "PRICEBOOK_LOG_FORMAT": "auto",
            "PRICEBOOK_LOG_LEVEL": "debug",
            "PRICEBOOK_WORKERS": "2",
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "PRICEBOOK_MONGODB_URI": mongodb_uri,
            "PRICEBOOK_MONGODB_DATABASE": "test_telemetry",
        }
        with running(tmp_path, "serve", PRICEBOOK_PORT="0", **environ) as run:
            run.read_until("Application startup complete")
            response = ask(run)
            assert response.headers["x-request-id"] == "order-7"
            assert response.headers["traceresponse"].startswith(f"00-{TRACE}-")
    lines = [json.loads(line) for line in run.output.splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    access = [line for line in lines if line["logger"] == "uvicorn.access"]
    assert [line.get("request_id") for line in access] == ["order-7"] * 3
    assert {line.get("trace_id") for line in access} == {TRACE}
    traces = b"".join(bodies)
    assert bytes.fromhex(TRACE) in traces
    assert b"Read" in traces
    for secret in SECRETS:
        assert secret not in run.output
        assert secret.encode() not in traces


def test_an_unknown_traces_exporter_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", OTEL_TRACES_EXPORTER="zipkin") as run:
        assert run.wait() == 2
    assert run.output == 'Error: OTEL_TRACES_EXPORTER is "zipkin"; it must be one of otlp, console, none.\n'
