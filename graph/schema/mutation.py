"""What can be changed: batches by integrators, pointers by ops."""

import strawberry

from graph.schema.batch_mutations import BatchMutations
from graph.schema.list_mutations import OperationMutations


@strawberry.type(description="Everything that can be changed.")
class Mutation(BatchMutations, OperationMutations):
    """The root of all mutations."""
