"""The state of a request, shared by middleware, the endpoint and telemetry."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from graph.asgi.headers import Headers
from graph.asgi.request_ids import REQUEST_ID, choose_request_id, client_trace_id
from graph.documents.operation_name import NO_OPERATION
from graph.identity.callers import ANONYMOUS, Caller
from loaders import MinVersions
from storage import Preview


def _nothing() -> None:
    pass


REQUEST_STATE = "pricebook.request_state"
"""Key of the `RequestState` in the scope of a connection."""

SWITCHING_PROTOCOLS = 101


class RequestState:
    """The state of an HTTP request, of a WebSocket connection, or of one operation of such a connection.

    `RequestStateMiddleware` creates it.
    """

    __slots__ = (
        "_request_id",
        "address",
        "body_bytes",
        "cache_key",
        "caller",
        "credentials",
        "error_code",
        "headers",
        "is_body_received",
        "is_lingering",
        "min_versions",
        "operation_name",
        "preview",
        "preview_token",
        "release_body",
        "status",
    )

    caller: Caller
    """Set by `AuthenticationMiddleware`; reading it before raises `AttributeError`."""

    def __init__(self, headers: dict[bytes, bytes]) -> None:
        self.headers = headers
        """By name in lower case, see `headers_by_name`."""
        self.credentials: bytes | None = None
        """The credentials of the caller: the header `Authorization`, or that in the first message of a WebSocket."""
        self.address = ""
        """The network address of a caller without valid credentials."""
        self.min_versions: MinVersions | None = None
        """The header `Pricebook-Min-Version`."""
        self.preview_token: bytes | None = None
        """The header `Pricebook-Preview`, or that in the first message of a WebSocket."""
        self.preview: Preview | None = None
        """What the preview token reads."""
        self.cache_key: tuple[str, bytes, str, str] | None = None
        """Key under which the response may be put into the response cache."""
        self.body_bytes = 0
        """Number of bytes of the body received so far. Not counted for bodies that the response cache received."""
        self.release_body: Callable[[], None] = _nothing
        """Ends the reservation of memory for the body, which is no longer needed."""
        self.is_body_received = False
        """Whether the whole request body has been received."""
        self.is_lingering = False
        """Whether the response is sent and the rest of the body is being discarded."""
        self.operation_name = NO_OPERATION
        """Name by which metrics count the operation."""
        self.status = 500
        """HTTP status of the response. A request that ends without a response has failed."""
        self.error_code: str | None = None
        """Code of the first error of the response."""
        self._request_id: bytes | None = None

    def header(self, name: bytes) -> str:
        """Return a header as text, empty if it is missing; `name` is in lower case."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def client(self) -> str:
        """The identity by which limits count: the name of the caller, or the address of an anonymous one."""
        # Names are printable, so none equals an address.
        return f"\n{self.address}" if self.caller.name == ANONYMOUS else self.caller.name

    def add_error(self, code: str) -> None:
        """Record the code of an error, unless there was one before."""
        if self.error_code is None:
            self.error_code = code

    def add_first_error(self, body: Mapping[str, Any]) -> None:
        """Record the code of the first error in a result, if it has any."""
        if "errors" in body:
            self.add_error(body["errors"][0]["extensions"]["code"])

    @property
    def request_id(self) -> bytes:
        """The client's id of the request, or a generated one. Generated on first use: cached responses need none."""
        if self._request_id is None:
            self._request_id = choose_request_id(self.headers)
        return self._request_id

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that the client is in."""
        return client_trace_id(self.headers)

    def with_request_id(self, headers: Headers) -> Headers:
        """Return headers of a response, with the request id added."""
        return [*headers, (REQUEST_ID, self.request_id)]

    def for_operation(self) -> "RequestState":
        """Return the state of a new operation on this WebSocket connection."""
        state = RequestState(self.headers)
        state.caller = self.caller
        state.credentials = self.credentials
        state.address = self.address
        state.min_versions = self.min_versions
        state.preview = self.preview
        state.status = SWITCHING_PROTOCOLS
        state._request_id = self.request_id
        return state


current_request: ContextVar[RequestState | None] = ContextVar("current_request", default=None)
"""The request that the current task serves, for log records and resolvers."""
