"""What can be changed: batches by integrators, pointers by ops."""

import strawberry

from graph.mutations.batches import BatchMutations
from graph.mutations.operations import OperationMutations


@strawberry.type(description="Everything that can be changed.")
class Mutation(BatchMutations, OperationMutations):
    """The root of all mutations."""
