"""A projection is in no reference cycle, so that it is freed without the garbage collector, which rarely runs."""

import gc
import weakref

from graphql import GraphQLString

from graph.execution.projection import AttributeField, project_leaf, project_object


def test_a_projection_is_freed_with_its_last_reference() -> None:
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        projection = project_object({"sku": AttributeField("sku", project_leaf(GraphQLString), nullable=False)})
        reference = weakref.ref(projection)
        del projection
        assert reference() is None
    finally:
        if is_enabled:
            gc.enable()
