"""Documents: parsed and validated once, and kept by their text."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)

from graph.documents.cacheability import Cacheability, versioned
from graph.documents.cost import Cost
from graph.documents.operation_name import name_of
from graph.documents.shape import check_shape
from graph.execution import Executable
from graph.limits.limits import DEFAULT_LIMITS, Limits, OverLimit
from graph.rows.placeholders import row_variables
from loaders import LRU

MAX_DOCUMENTS = 1000


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document.

    Metrics count it by `name`. `rows` are its variables that hold rows (`graph.rows.placeholders`); `versioned` is None
    unless versions alone answer it. `cost` has to be checked with the variables before the operation is executed.
    """

    node: OperationDefinitionNode
    name: str
    rows: dict[str, str]
    versioned: Cacheability | None
    cost: Cost
    executable: Executable

    @property
    def kind(self) -> OperationType:
        """Whether it is a query, a mutation or a subscription."""
        return self.node.operation


class Document:
    """A document that is valid, or the errors that say why it is not, or the limit that it is over.

    `digest` is that of its text.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        text: str,
        node: DocumentNode | None,
        errors: Sequence[GraphQLError] = (),
        over_limit: OverLimit | None = None,
    ) -> None:
        self.node = node
        self.errors = errors
        self.over_limit = over_limit
        self.digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        self._schema = schema
        self._limits = limits
        self._pointer_moves: dict[str | None, Operation] = {}

    def operation(self, name: str | None) -> Operation | None:
        """Return the operation to execute; None where the name leaves it open."""
        known = self._pointer_moves.get(name)
        if known is None and self.node is not None:
            node = get_operation_ast(self.node, name)
            if node is not None:
                known = Operation(
                    node,
                    name_of(self._schema, self.node, node),
                    row_variables(node),
                    versioned(self._schema, self.node, node),
                    Cost(self._schema, self.node, node, self._limits),
                    Executable(self._schema, self.node, node),
                )
                self._pointer_moves[name] = known
        return known


class Documents:
    """The documents that were asked most recently, at most `MAX_DOCUMENTS`."""

    def __init__(self, schema: GraphQLSchema, limits: Limits = DEFAULT_LIMITS) -> None:
        self._schema = schema
        self._limits = limits
        self._rules = specified_rules if limits.introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
        self._documents: LRU[str, Document] = LRU(MAX_DOCUMENTS)

    def __contains__(self, text: str) -> bool:
        """Whether the document of a text is known, and need not be read."""
        return text in self._documents

    def get(self, text: str) -> Document:
        """Return the document of a text."""
        document = self._documents.get(text)
        if document is None:
            document = self._read(text)
            self._documents.put(text, document)
        return document

    def _read(self, text: str) -> Document:
        try:
            node = _unchained(parse(text, max_tokens=self._limits.tokens))
            check_shape(node, self._limits)
        except GraphQLError as error:
            return Document(self._schema, self._limits, text, None, [_coded(error, "GRAPHQL_PARSE_FAILED")])
        except OverLimit as over:
            return Document(self._schema, self._limits, text, None, over_limit=over)
        errors = [_coded(error, "GRAPHQL_VALIDATION_FAILED") for error in self._validated(node)]
        return Document(self._schema, self._limits, text, None if errors else node, errors)

    def _validated(self, node: DocumentNode) -> list[GraphQLError]:
        # Who may not see the schema is not to learn it from what an error says was perhaps meant.
        return validate(self._schema, node, self._rules, hide_suggestions=not self._limits.introspection)


def _unchained(node: DocumentNode) -> DocumentNode:
    """Return a document whose tokens, which nobody needs any more, do not hold each other.

    They would stay in memory after the document until the next collection of the oldest garbage, which is rare here.
    """
    token = node.loc.start_token if node.loc else None
    while token:
        behind, token.prev, token.next = token.next, None, None
        token = behind
    return node


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {**(error.extensions or {}), "code": code}
    return error
