"""The root of all mutations."""

import strawberry

from graph.schema.batch_mutations import BatchMutations
from graph.schema.list_mutations import ListMutations
from graph.schema.preview_mutations import PreviewMutations
from graph.schema.release_mutations import ReleaseMutations


@strawberry.type(description="The root of all mutations.")
class Mutation(BatchMutations, PreviewMutations, ReleaseMutations, ListMutations):
    """The root of all mutations."""
