"""Execution of queries by plans, each compiled once for a document instead of walked anew for every request.

    survey      what of the document decides how it is executed: its conditions, and whether it can be planned
    collect     the fields of a selection set, with fragments resolved and equal fields merged
    variables   the operation's variables, coerced
    arguments   a field's arguments: constants coerced once, the others from the variables
    resolvers   how a field's value is got: an attribute, a resolver of ours, or as the schema has it
    projection  selections of plain attributes, completed in one pass
    plan        the plan, and how it is compiled
    run         one execution of a plan
    executable  the way in

The rules are those of the GraphQL specification of September 2025, section 6; errors are those of graphql-core, word
for word. What does not fit a plan is executed by graphql-core.
"""

from graph.execution.executable import Executable

__all__ = ["Executable"]
