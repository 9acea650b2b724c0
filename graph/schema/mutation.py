"""The root of all mutations."""

import strawberry

from graph.schema.batch_mutations import BatchMutations
from graph.schema.list_mutations import ListMutations
from graph.schema.preview_mutations import PreviewMutations


@strawberry.type(description="The root of all mutations.")
class Mutation(BatchMutations, PreviewMutations, ListMutations):
    """The root of all mutations."""
