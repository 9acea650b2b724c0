"""Inputs and the payload of the mutations of preview tokens."""

import datetime

import strawberry

from graph.types.batches import Batch
from graph.types.payloads import UserError
from graph.types.reasons import REASON
from storage import MAX_PREVIEW_DAYS


@strawberry.input(description="Input of `grantPreview`.")
class GrantPreviewInput:
    """Input of `grantPreview`."""

    batch: strawberry.ID = strawberry.field(description="The ID of a held batch.")
    expires_at: datetime.datetime = strawberry.field(
        description="When the token expires, with an offset from UTC: in the future by the clock of MongoDB, and at "
        f"most {MAX_PREVIEW_DAYS} days ahead."
    )
    reason: str = strawberry.field(description=REASON)


@strawberry.input(description="Input of `revokePreview`.")
class RevokePreviewInput:
    """Input of `revokePreview`."""

    batch: strawberry.ID = strawberry.field(description="The ID of the batch whose tokens to revoke.")
    reason: str = strawberry.field(description=REASON)


@strawberry.type(description="The result of `grantPreview`.")
class GrantPreviewPayload:
    """The result of `grantPreview`."""

    token: str | None = strawberry.field(
        default=None,
        description="The token, to send as the header `Pricebook-Preview`. It is shown only once. Null if none was "
        "granted.",
    )
    batch: Batch | None = strawberry.field(
        default=None, description="The batch whose version the token reads. Null if no token was granted."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="The errors that prevented the mutation. Empty on success."
    )
