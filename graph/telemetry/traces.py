"""Traces: OpenTelemetry spans of requests, operations, loads and MongoDB's commands.

They are switched on by the variables that OpenTelemetry specifies: an endpoint in `OTEL_EXPORTER_OTLP_ENDPOINT`, or an
exporter in `OTEL_TRACES_EXPORTER`. Where they are not, nothing of OpenTelemetry is imported.
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
_NONE: AbstractContextManager[None] = nullcontext()


class TracesError(Exception):
    """Traces are asked for, and cannot be had."""


class Traces:
    """The spans of a process. Off until `start` was called and the environment asks for them."""

    def __init__(self) -> None:
        self._provider: Any = None
        self._tracer: Any = None

    @property
    def on(self) -> bool:
        """Whether spans are made."""
        return self._tracer is not None

    def check(self, environ: Mapping[str, str] = os.environ) -> None:
        """Return where what the environment asks for can be had. Raises `TracesError`."""
        if exporter_of(environ):
            try:
                import opentelemetry.instrumentation.pymongo  # noqa: F401, PLC0415
            except ImportError as error:
                raise TracesError(f"Traces need more packages: pip install 'pricebook[otel]' ({error}).") from error

    def start(self, environ: Mapping[str, str] = os.environ) -> None:
        """Begin, if the environment asks for it. Raises `TracesError`."""
        self.check(environ)
        exporter = exporter_of(environ)
        if exporter is None or self.on:
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
        PymongoInstrumentor().instrument(tracer_provider=self._provider, failed_hook=_without_values)
        dataloaders.around_batches(self.load)

    def stop(self) -> None:
        """Send what is left, and make no more spans."""
        if self._provider is not None:
            from opentelemetry.instrumentation.pymongo import PymongoInstrumentor  # noqa: PLC0415

            PymongoInstrumentor().uninstrument()
            dataloaders.around_batches(None)
            self._provider.shutdown()
            self._provider = self._tracer = None

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the application with a span around each request, in the trace that `traceparent` names."""
        if not self.on:
            return app
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415

        async def single(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)  # what is no coroutine the library takes for an application of ASGI 2

        traced: ASGIApp = OpenTelemetryMiddleware(
            single,
            tracer_provider=self._provider,
            exclude_spans=["send", "receive"],
            server_request_hook=_without_query,
        )
        return traced

    def headers(self) -> dict[str, str]:
        """Return the headers by which whom we call knows the trace."""
        headers: dict[str, str] = {}
        if self.on:
            from opentelemetry.propagate import inject  # noqa: PLC0415

            inject(headers)
        return headers

    def operation(self, kind: str, name: str | None, document: str) -> AbstractContextManager[object]:
        """Return a span around the execution of an operation; `document` is the digest of its text."""
        if not self.on:
            return _NONE
        attributes = {"graphql.operation.type": kind, "graphql.document.digest": document}
        if name:
            attributes["graphql.operation.name"] = name
        span: AbstractContextManager[object] = self._tracer.start_as_current_span(
            f"graphql {kind}", attributes=attributes, record_exception=False
        )
        return span

    @contextmanager
    def load(self, loader: str, keys: int) -> Iterator[None]:
        """Make a span around the load of a batch of keys."""
        with self._tracer.start_as_current_span(f"load {loader}", attributes={"pricebook.load.keys": keys}):
            yield


TRACES = Traces()
"""Those of this process."""


def exporter_of(environ: Mapping[str, str]) -> str | None:
    """Return where spans are to go, `otlp` or `console`; None where there are to be none. Raises `TracesError`."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    asked = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if asked and asked not in _EXPORTERS:
        raise TracesError(f'OTEL_TRACES_EXPORTER is "{asked}"; allowed is one of {", ".join(_EXPORTERS)}.')
    if not asked:
        asked = "otlp" if any(environ.get(name) for name in _ENDPOINTS) else "none"
    return None if asked == "none" else asked


def trace_ids() -> dict[str, str]:
    """Return the ids of the trace and the span that are under way, as logs have them; empty without."""
    if not TRACES.on:
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


def _without_query(span: "Span", scope: Mapping[str, Any]) -> None:
    # A query string has the document and its variables.
    for attribute in ("http.url", "http.target", "url.full"):
        span.set_attribute(attribute, scope["path"])
    span.set_attribute("url.query", "")


def _without_values(span: "Span", event: Any) -> None:
    # What MongoDB says of a failure may have the values of keys.
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

    span.set_status(Status(StatusCode.ERROR, str(event.failure.get("codeName", "failed"))))
