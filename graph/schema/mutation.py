"""What can be changed: batches by integrators, pointers by ops."""

import strawberry

from graph.schema.batch_mutations import BatchMutations
from graph.schema.list_mutations import ListMutations


@strawberry.type(description="Everything that can be changed.")
class Mutation(BatchMutations, ListMutations):
    """The root of all mutations."""
