"""Mutations of preview tokens."""

from typing import Annotated, cast

import strawberry

from graph.context import Info
from graph.identity.requires import OPERATING, requires_for_batch
from graph.schema.errors import return_user_errors
from graph.types.batches import Batch
from graph.types.payloads import BatchPayload
from graph.types.previews import GrantPreviewInput, GrantPreviewPayload, RevokePreviewInput
from storage import MAX_PREVIEWS


@strawberry.type
class PreviewMutations:
    """Mutations of preview tokens."""

    @strawberry.mutation(
        description="Grants a token that reads the version of a held batch until it expires: only `snapshot` of that "
        f"version, by its number. A batch has at most {MAX_PREVIEWS} valid tokens."
    )
    @staticmethod
    @return_user_errors(GrantPreviewPayload)
    @requires_for_batch(OPERATING, batch="input.batch")
    async def grant_preview(
        info: Info,
        input: Annotated[  # noqa: A002
            GrantPreviewInput, strawberry.argument(description="The batch, the expiry and the reason.")
        ],
    ) -> GrantPreviewPayload:
        """Grant a token that reads the version of a held batch."""
        token, batch = await info.context.store.previews.grant(
            input.batch, input.expires_at, by=info.context.caller.name, reason=input.reason
        )
        return GrantPreviewPayload(token=token, batch=cast("Batch", batch))

    @strawberry.mutation(
        description="Revokes all preview tokens of a batch. Requests with one of them are refused from then on."
    )
    @staticmethod
    @return_user_errors(BatchPayload)
    @requires_for_batch(OPERATING, batch="input.batch")
    async def revoke_preview(
        info: Info,
        input: Annotated[RevokePreviewInput, strawberry.argument(description="The batch and the reason.")],  # noqa: A002
    ) -> BatchPayload:
        """Revoke all preview tokens of a batch."""
        batch = await info.context.store.previews.revoke(input.batch, by=info.context.caller.name, reason=input.reason)
        return BatchPayload(batch=cast("Batch", batch))
