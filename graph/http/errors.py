"""The errors of the transport: requests that are refused without executing an operation.

    HTTPError                        status  code
      BadRequest                     400     BAD_REQUEST
        BatchingNotSupported         400     BATCHING_NOT_SUPPORTED
        DocumentTooLarge             400     DOCUMENT_TOO_LARGE
        PersistedQueryHashMismatch   400     PERSISTED_QUERY_HASH_MISMATCH
        MinVersionInvalid            400     MIN_VERSION_INVALID
        PartsMisplaced               400     PARTS_MISPLACED
        MapInvalid                   400     MAP_INVALID
        FileMissing                  400     FILE_MISSING
        UploadRefused                400     that of its cause
      PreflightRequired              403     PREFLIGHT_REQUIRED
      OriginNotAllowed               403     ORIGIN_NOT_ALLOWED
      MethodNotAllowed               405     METHOD_NOT_ALLOWED
      NotAcceptable                  406     NOT_ACCEPTABLE
      BodyTooLarge                   413     BODY_TOO_LARGE
      UnsupportedMediaType           415     UNSUPPORTED_MEDIA_TYPE
      MisdirectedRequest             421     NOT_THIS_SERVER
      InternalServerError            500     INTERNAL
      ServiceUnavailable             503     UNAVAILABLE
      RequestError                   by the media type of the response
        OperationNotFound                    OPERATION_NOT_FOUND
        DocumentNotFound                     DOCUMENT_NOT_FOUND
        DocumentNotTrusted                   DOCUMENT_NOT_TRUSTED
        PersistedQueryNotFound               PERSISTED_QUERY_NOT_FOUND
        PersistedQueryNotSupported           PERSISTED_QUERY_NOT_SUPPORTED

Credentials and limits have errors of their own: `AccessError` (401, 403) and `OverLimit` (429, 503, or by media type).
`cli.serve.refusals` has those of the server: 400, 408, 431, 503.
"""

from graph.limits.bodies import BodyLimit
from storage import PricebookError


class HTTPError(Exception):
    """Base of all errors of the transport. `status` is None if the media type of the response decides it."""

    status: int | None
    code: str

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(HTTPError):
    """The HTTP request does not contain a GraphQL request."""

    status = 400
    code = "BAD_REQUEST"


class BatchingNotSupported(BadRequest):
    """The body is an array of requests."""

    code = "BATCHING_NOT_SUPPORTED"


class DocumentTooLarge(BadRequest):
    """The document has too many characters."""

    code = "DOCUMENT_TOO_LARGE"


class PersistedQueryHashMismatch(BadRequest):
    """A document was sent with a hash that is not its own."""

    code = "PERSISTED_QUERY_HASH_MISMATCH"


class MinVersionInvalid(BadRequest):
    """The header `Pricebook-Min-Version` is malformed."""

    code = "MIN_VERSION_INVALID"


class PartsMisplaced(BadRequest):
    """The parts of a multipart request are not `operations`, `map` and a file, in this order."""

    code = "PARTS_MISPLACED"


class MapInvalid(BadRequest):
    """The `map` of a multipart request is malformed or does not match its `operations` and file."""

    code = "MAP_INVALID"


class FileMissing(BadRequest):
    """A multipart request has no file, or its file has no name."""

    code = "FILE_MISSING"


class UploadRefused(BadRequest):
    """A multipart request cannot be read up to its file; has the code and the message of the cause."""

    def __init__(self, cause: PricebookError, status: int = 400) -> None:
        super().__init__(cause.message)
        self.status = status
        self.code = cause.code


class PreflightRequired(HTTPError):
    """A cross-site multipart request has no header that makes browsers send a CORS preflight."""

    status = 403
    code = "PREFLIGHT_REQUIRED"


class OriginNotAllowed(HTTPError):
    """A page of another origin opens a WebSocket."""

    status = 403
    code = "ORIGIN_NOT_ALLOWED"


class MethodNotAllowed(HTTPError):
    """The HTTP method is not supported, or not for this kind of operation. `allowed` is the `Allow` header."""

    status = 405
    code = "METHOD_NOT_ALLOWED"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class NotAcceptable(HTTPError):
    """The client accepts no media type of GraphQL responses."""

    status = 406
    code = "NOT_ACCEPTABLE"


class BodyTooLarge(HTTPError):
    """The request body is longer than allowed."""

    status = 413
    code = "BODY_TOO_LARGE"

    def __init__(self, limit: BodyLimit) -> None:
        super().__init__(f"The request body is over {limit.bytes} bytes. {limit.advice}")


class UnsupportedMediaType(HTTPError):
    """The request body is not in a supported media type or charset."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class MisdirectedRequest(HTTPError):
    """The `Host` header does not name this server."""

    status = 421
    code = "NOT_THIS_SERVER"


class InternalServerError(HTTPError):
    """An unexpected error."""

    status = 500
    code = "INTERNAL"


class ServiceUnavailable(HTTPError):
    """The database does not respond."""

    status = 503
    code = "UNAVAILABLE"


class RequestError(HTTPError):
    """A well-formed GraphQL request that cannot be executed: a request error of the GraphQL specification.

    By GraphQL over HTTP the status is 400, but 200 in the legacy media type `application/json`.
    """

    status = None


class OperationNotFound(RequestError):
    """The document has no operation of that name, or has several and the request names none."""

    code = "OPERATION_NOT_FOUND"


class DocumentNotFound(RequestError):
    """No trusted document has this id."""

    code = "DOCUMENT_NOT_FOUND"


class DocumentNotTrusted(RequestError):
    """Only trusted documents are executed, and this one is not on the list."""

    code = "DOCUMENT_NOT_TRUSTED"


class PersistedQueryNotFound(RequestError):
    """The document of a hash is unknown; clients send it with its hash then."""

    code = "PERSISTED_QUERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")  # part of Apollo's protocol


class PersistedQueryNotSupported(RequestError):
    """The version of the persisted query protocol is not supported; clients send whole documents from then on."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")  # part of Apollo's protocol
