"""A projection is in no reference cycle, so that it is freed without the garbage collector, which rarely runs."""

import gc
import weakref

from graphql import GraphQLString

from graph.execution.projection import RecordField, leaf_to_json, object_to_json, project_leaf


def test_a_projection_is_freed_with_its_last_reference() -> None:
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        sku = RecordField("sku", project_leaf(GraphQLString), leaf_to_json(GraphQLString), nullable=False, leaf=None)
        projection = object_to_json({"sku": sku})
        reference = weakref.ref(projection)
        del projection
        assert reference() is None
    finally:
        if is_enabled:
            gc.enable()
