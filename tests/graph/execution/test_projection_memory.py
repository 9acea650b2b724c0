"""Nothing of a plan outlives its document: the garbage collector, which rarely comes, has nothing to do with it."""

import gc
import weakref

from graphql import GraphQLString

from graph.execution.projection import AttributeField, project_leaf, project_object


def test_a_projection_goes_with_the_last_who_holds_it() -> None:
    collects = gc.isenabled()
    gc.disable()
    try:
        projection = project_object({"sku": AttributeField("sku", project_leaf(GraphQLString), nullable=False)})
        held = weakref.ref(projection)
        del projection
        assert held() is None
    finally:
        if collects:
            gc.enable()
