"""Traces: OpenTelemetry spans of requests, operations, loads and MongoDB commands.

The environment variables of OpenTelemetry enable them: an endpoint in `OTEL_EXPORTER_OTLP_ENDPOINT`, or an exporter in
`OTEL_TRACES_EXPORTER`. While traces are disabled, OpenTelemetry is not imported.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from loaders import dataloaders

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTERS = ("otlp", "console", "none")
_NO_SPAN: AbstractContextManager[None] = nullcontext()


class TracesError(Exception):
    """Traces are enabled but cannot be exported."""


class Traces:
    """The tracing of a process. Disabled until `start` is called with an environment that enables it."""

    def __init__(self) -> None:
        self._provider: Any = None
        self._tracer: Any = None

    @property
    def is_enabled(self) -> bool:
        """Whether spans are recorded."""
        return self._tracer is not None

    def check(self, environ: Mapping[str, str] = os.environ) -> None:
        """Check that the packages for the environment's exporter are installed. Raises `TracesError`."""
        if exporter_name(environ):
            try:
                import opentelemetry.instrumentation.pymongo  # noqa: F401, PLC0415
            except ImportError as error:
                raise TracesError(
                    f"Traces need additional packages: pip install 'pricebook[otel]' ({error})."
                ) from error

    def start(self, environ: Mapping[str, str] = os.environ) -> None:
        """Start recording spans, if the environment enables them. Raises `TracesError`."""
        self.check(environ)
        exporter = exporter_name(environ)
        if exporter is None or self.is_enabled:
            return
        from opentelemetry.instrumentation.propagators import (  # noqa: PLC0415
            TraceResponsePropagator,
            set_global_response_propagator,
        )
        from opentelemetry.instrumentation.pymongo import PymongoInstrumentor  # noqa: PLC0415
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        name = environ.get("OTEL_SERVICE_NAME", "pricebook")
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        self._provider.add_span_processor(BatchSpanProcessor(_exporter(exporter)))
        self._tracer = self._provider.get_tracer("pricebook")
        set_global_response_propagator(TraceResponsePropagator())  # type: ignore[no-untyped-call]
        PymongoInstrumentor().instrument(tracer_provider=self._provider, failed_hook=_hide_values)
        dataloaders.wrap_loads(self.load)

    def stop(self) -> None:
        """Send the remaining spans, and stop recording."""
        if self._provider is not None:
            from opentelemetry.instrumentation.pymongo import PymongoInstrumentor  # noqa: PLC0415

            PymongoInstrumentor().uninstrument()
            dataloaders.wrap_loads(None)
            self._provider.shutdown()
            self._provider = self._tracer = None

    def instrument(self, app: ASGIApp) -> ASGIApp:
        """Wrap an application in a span for each request, within the trace that `traceparent` names."""
        if not self.is_enabled:
            return app
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415

        async def coroutine_app(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)  # the library takes other callables for ASGI 2 applications

        traced: ASGIApp = OpenTelemetryMiddleware(
            coroutine_app,
            tracer_provider=self._provider,
            exclude_spans=["send", "receive"],
            server_request_hook=_hide_query,
        )
        return traced

    def headers(self) -> dict[str, str]:
        """Return the headers that propagate the trace to a called server."""
        headers: dict[str, str] = {}
        if self.is_enabled:
            from opentelemetry.propagate import inject  # noqa: PLC0415

            inject(headers)
        return headers

    def operation(self, kind: str, name: str | None, document: str) -> AbstractContextManager[object]:
        """Return a span for the execution of an operation. `document` is the digest of its text."""
        if not self.is_enabled:
            return _NO_SPAN
        attributes = {"graphql.operation.type": kind, "graphql.document.digest": document}
        if name:
            attributes["graphql.operation.name"] = name
        span: AbstractContextManager[object] = self._tracer.start_as_current_span(
            f"graphql {kind}", attributes=attributes, record_exception=False
        )
        return span

    @contextmanager
    def load(self, loader: str, keys: int) -> Iterator[None]:
        """Record a span for the load of a number of keys."""
        with self._tracer.start_as_current_span(f"load {loader}", attributes={"pricebook.load.keys": keys}):
            yield


TRACES = Traces()
"""The tracing of this process."""


def exporter_name(environ: Mapping[str, str]) -> str | None:
    """Return the name of the span exporter, `otlp` or `console`; None if disabled. Raises `TracesError`."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    name = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if name and name not in _EXPORTERS:
        raise TracesError(f'OTEL_TRACES_EXPORTER is "{name}"; it must be one of {", ".join(_EXPORTERS)}.')
    if not name:
        name = "otlp" if any(environ.get(variable) for variable in _ENDPOINTS) else "none"
    return None if name == "none" else name


def trace_ids() -> dict[str, str]:
    """Return the IDs of the current trace and span for a log record; empty without a current span."""
    if not TRACES.is_enabled:
        return {}
    from opentelemetry import trace  # noqa: PLC0415

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


def _exporter(name: str) -> Any:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415

        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    return OTLPSpanExporter()


def _hide_query(span: "Span", scope: Mapping[str, Any]) -> None:
    # The query string contains the document and its variables.
    for attribute in ("http.url", "http.target", "url.full"):
        span.set_attribute(attribute, scope["path"])
    span.set_attribute("url.query", "")


def _hide_values(span: "Span", event: Any) -> None:
    # The message of a failure may contain values of keys.
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

    span.set_status(Status(StatusCode.ERROR, str(event.failure.get("codeName", "failed"))))
