"""Execution of queries by plans, which are compiled once for a document and not derived again for every request.

    plannable   whether an operation can have a plan, and the variables in its `@skip` and `@include`
    collect     CollectFields: the fields of a selection set, with fragments resolved and equal response keys merged
    variables   CoerceVariableValues
    arguments   CoerceArgumentValues: constants are coerced once, other arguments for every request
    resolvers   ResolveFieldValue: an attribute, a resolver called directly, or the resolver of the schema
    projection  CompleteValue for plain records, in one pass
    plan        the data structure of a plan
    compiler    compiles the plan of an operation
    state       the state of an execution that resolvers read
    execution   executes a plan: ExecuteSelectionSet and CompleteValue, with errors and nulls
    executable  the entry point: an operation with its plans

The rules are those of the GraphQL specification of September 2025, section 6, which has the algorithms named above. The
errors are those of graphql-core, word for word. Operations without a plan are executed by graphql-core.
"""

from graph.execution.executable import MAX_PLANS, Executable

__all__ = ["MAX_PLANS", "Executable"]
