"""Preview tokens: the header `Pricebook-Preview` reads one unpublished version, with or without other credentials.

A token adds one thing to what its sender may read anyway: the field `snapshot` of that version, by its number.
"""

from graph.identity.callers import Unauthenticated
from storage import Preview, Previews, PricebookError

HEADER = "Pricebook-Preview"
HEADER_NAME = HEADER.lower().encode()
"""The header as ASGI names it."""


class PreviewInvalid(Unauthenticated):
    """A preview token is invalid, or no longer valid."""

    code = "PREVIEW_INVALID"

    def __init__(self) -> None:
        PricebookError.__init__(
            self,
            # A close frame of a WebSocket has room for 123 bytes.
            "This preview token is invalid, expired or revoked, or its batch was rejected. "
            "Ask for a new one, or send none.",
        )


async def find_preview(previews: Previews, token: bytes) -> Preview:
    """Return what a token reads now. Raises `PreviewInvalid`.

    Each request looks its token up, so that a revoked token is refused at once, and an approved batch is read by its
    new number.
    """
    preview = await previews.find(token.decode("latin-1"))
    if preview is None:
        raise PreviewInvalid
    return preview
