"""Traces: off unless asked for; then a span for the request, the operation, each load and each command."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from graph.telemetry import traces
from graph.telemetry.traces import TRACES, TracesError, exporter_of
from storage import Store
from tests.graph.api import open_settings, row, serving

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("environ", "exporter"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "OTLP"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, None),
    ],
)
def test_the_usual_variables_switch_traces_on(environ: dict[str, str], exporter: str | None) -> None:
    assert exporter_of(environ) == exporter


def test_an_exporter_that_is_not_known_is_refused() -> None:
    with pytest.raises(TracesError, match='OTEL_TRACES_EXPORTER is "zipkin"; allowed is one of otlp, console, none'):
        exporter_of({"OTEL_TRACES_EXPORTER": "zipkin"})


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """The spans of this process, while traces are on."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(traces, "_exporter", lambda _: exporter)
    TRACES.start({"OTEL_TRACES_EXPORTER": "console"})
    yield exporter
    TRACES.stop()


def path(span: ReadableSpan, of: dict[int, ReadableSpan]) -> list[str]:
    """The names of a span and those that it stands in, from the outermost."""
    names = [span.name]
    while span.parent and span.parent.span_id in of:
        span = of[span.parent.span_id]
        names.insert(0, span.name)
    return names


async def test_a_request_is_a_tree_from_its_clients_trace_down_to_the_commands(
    store: Store, mongodb_uri: str, spans: InMemorySpanExporter
) -> None:
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name, cache_bytes=0)
    async with serving(settings) as api:
        await api.create("retail")
        await api.publish("retail", [row("secret-sku")])
        TRACES._provider.force_flush()
        spans.clear()
        body: dict[str, Any] = {
            "query": 'query Point($s: ID!) { snapshot(priceList: "retail") { price(sku: $s) { amount } } }',
            "operationName": "Point",
            "variables": {"s": "secret-sku"},
        }
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        answer = await api.http.post("/graphql", json=body, headers=headers)
        assert answer.json()["data"]["snapshot"]["price"] == {"amount": "1.00"}
        TRACES._provider.force_flush()
    seen = [span for span in spans.get_finished_spans() if f"{span.context.trace_id:032x}" == TRACE]
    of = {span.context.span_id: span for span in seen}
    commands = [span for span in seen if span.attributes and span.attributes.get("db.system") == "mongodb"]
    assert commands
    request, operation, load, _ = path(commands[-1], of)
    assert "POST" in request
    assert (operation, load) == ("graphql query", "load PriceLoader")
    outermost = next(span for span in seen if span.name == request)
    assert outermost.parent is not None
    assert f"{outermost.parent.span_id:016x}" == PARENT
    [executed] = [span for span in seen if span.name == operation]
    assert executed.attributes is not None
    assert executed.attributes["graphql.operation.name"] == "Point"
    told = repr([(span.name, dict(span.attributes or {})) for span in seen])
    assert "secret-sku" not in told
    assert answer.headers["traceresponse"].startswith(f"00-{TRACE}-")


async def test_a_query_by_get_does_not_leave_its_variables_in_a_span(
    store: Store, mongodb_uri: str, spans: InMemorySpanExporter
) -> None:
    async with serving(open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name)) as api:
        await api.http.get("/graphql", params={"query": "{ __typename }", "variables": '{"x": "secret-sku"}'})
        TRACES._provider.force_flush()
    assert spans.get_finished_spans()
    assert "secret-sku" not in repr([dict(span.attributes or {}) for span in spans.get_finished_spans()])
