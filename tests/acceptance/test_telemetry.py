"""What a server tells of itself: JSON lines without secrets, and traces to a collector."""

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
    """A server that takes traces by OTLP over HTTP: its address, and what it was sent."""
    sent: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", sent
        finally:
            server.shutdown()
            thread.join()


def ask(run: Command) -> httpx.Response:
    found = re.search(r"Listening on (http://[\w.:]+)/graphql", run.said)
    assert found is not None
    with httpx.Client(trust_env=False, timeout=30) as client:
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-request-id": "order-7"}
        client.post(f"{found[1]}/graphql", json={}, headers={**headers, "authorization": f"Bearer {SECRETS[0]}"})
        body = {"query": READ, "operationName": "Read", "variables": {"s": SECRETS[1]}}
        client.get(
            f"{found[1]}/graphql", params={"query": READ, "variables": json.dumps(body["variables"])}, headers=headers
        )
        return client.post(f"{found[1]}/graphql", json=body, headers=headers)


def test_a_server_logs_json_lines_without_secrets_and_sends_its_traces(tmp_path: Path, mongodb_uri: str) -> None:
    with collector() as (address, sent):
        environ = {
            "PRICEBOOK_LOG_FORMAT": "auto",
            "PRICEBOOK_LOG_LEVEL": "debug",
            "PRICEBOOK_WORKERS": "2",
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "PRICEBOOK_MONGODB_URI": mongodb_uri,
            "PRICEBOOK_MONGODB_DATABASE": "test_telemetry",
        }
        with running(tmp_path, "serve", PRICEBOOK_PORT="0", **environ) as run:
            run.listen_until("Application startup complete")
            response = ask(run)
            assert response.headers["x-request-id"] == "order-7"
            assert response.headers["traceresponse"].startswith(f"00-{TRACE}-")
    lines = [json.loads(line) for line in run.said.splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    access = [line for line in lines if line["logger"] == "uvicorn.access"]
    assert [line.get("request_id") for line in access] == ["order-7"] * 3
    assert {line.get("trace_id") for line in access} == {TRACE}
    told = b"".join(sent)
    assert bytes.fromhex(TRACE) in told
    assert b"Read" in told
    for secret in SECRETS:
        assert secret not in run.said
        assert secret.encode() not in told


def test_traces_that_cannot_be_had_are_refused(tmp_path: Path) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", OTEL_TRACES_EXPORTER="zipkin") as run:
        assert run.wait() == 2
    assert run.said == 'Error: OTEL_TRACES_EXPORTER is "zipkin"; it must be one of otlp, console, none.\n'
