"""The root of all mutations."""

import strawberry

from graph.schema.batch_mutations import BatchMutations
from graph.schema.list_mutations import ListMutations


@strawberry.type(description="The root of all mutations.")
class Mutation(BatchMutations, ListMutations):
    """The root of all mutations."""
