"""Traces: disabled by default; otherwise a span for the request, the operation, each load and each command."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from graph.telemetry import traces
from graph.telemetry.traces import TRACES, TracesError, exporter_name
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
def test_the_variables_of_opentelemetry_enable_traces(environ: dict[str, str], exporter: str | None) -> None:
    assert exporter_name(environ) == exporter


def test_an_unknown_exporter_is_refused() -> None:
    with pytest.raises(TracesError, match='OTEL_TRACES_EXPORTER is "zipkin"; it must be one of otlp, console, none'):
        exporter_name({"OTEL_TRACES_EXPORTER": "zipkin"})


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """The finished spans of this process, with traces enabled."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(traces, "_exporter", lambda _: exporter)
    TRACES.start({"OTEL_TRACES_EXPORTER": "console"})
    yield exporter
    TRACES.stop()


def path(span: ReadableSpan, by_id: dict[int, ReadableSpan]) -> list[str]:
    """Return the names of a span and of its parents, from the outermost."""
    names = [span.name]
    while span.parent and span.parent.span_id in by_id:
        span = by_id[span.parent.span_id]
        names.insert(0, span.name)
    return names


async def test_the_spans_of_a_request_are_a_tree_from_the_trace_of_the_client_to_the_commands(
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
        response = await api.http.post("/graphql", json=body, headers=headers)
        assert response.json()["data"]["snapshot"]["price"] == {"amount": "1.00"}
        TRACES._provider.force_flush()
    seen = [span for span in spans.get_finished_spans() if f"{span.context.trace_id:032x}" == TRACE]
    by_id = {span.context.span_id: span for span in seen}
    commands = [span for span in seen if span.attributes and span.attributes.get("db.system") == "mongodb"]
    assert commands
    request, operation, load, _ = path(commands[-1], by_id)
    assert "POST" in request
    assert (operation, load) == ("graphql query", "load PriceLoader")
    outermost = next(span for span in seen if span.name == request)
    assert outermost.parent is not None
    assert f"{outermost.parent.span_id:016x}" == PARENT
    [executed] = [span for span in seen if span.name == operation]
    assert executed.attributes is not None
    assert executed.attributes["graphql.operation.name"] == "Point"
    recorded = repr([(span.name, dict(span.attributes or {})) for span in seen])
    assert "secret-sku" not in recorded
    assert response.headers["traceresponse"].startswith(f"00-{TRACE}-")


async def test_the_query_string_of_a_get_request_is_not_recorded(
    store: Store, mongodb_uri: str, spans: InMemorySpanExporter
) -> None:
    async with serving(open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name)) as api:
        await api.http.get("/graphql", params={"query": "{ __typename }", "variables": '{"x": "secret-sku"}'})
        TRACES._provider.force_flush()
    assert spans.get_finished_spans()
    assert "secret-sku" not in repr([dict(span.attributes or {}) for span in spans.get_finished_spans()])
