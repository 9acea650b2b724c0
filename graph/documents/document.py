"""Documents, parsed and validated once and cached by their text."""

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

from graph.documents.cacheability import Cacheability, find_cacheability
from graph.documents.cost import Cost
from graph.documents.operation_name import operation_name
from graph.documents.shape import check_shape
from graph.execution import Executable
from graph.limits.limits import DEFAULT_LIMITS, Limits, OverLimit
from graph.rows.placeholders import row_variables
from loaders import LRU

MAX_DOCUMENTS = 1000
"""Number of documents to cache."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document.

    `name` is its name in metrics, `rows` its variables that hold rows (`graph.rows.placeholders`), `cacheability` None
    if its response must not be shared. Check `cost` with the variables before you execute the operation.
    """

    node: OperationDefinitionNode
    name: str
    rows: dict[str, str]
    cacheability: Cacheability | None
    cost: Cost
    executable: Executable

    @property
    def kind(self) -> OperationType:
        """Its type: query, mutation or subscription."""
        return self.node.operation


class Document:
    """A valid document; without a `node` it is invalid, and has `errors` or the limit that it exceeds.

    `digest` is the BLAKE2b-128 of its text, in hexadecimal.
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
        self._operations: dict[str | None, Operation] = {}

    def operation(self, name: str | None) -> Operation | None:
        """Return the operation of a name, or the only one; None if there is no such operation, or several without name.

        Operations are cached, so that only the first call for a name does the work.
        """
        operation = self._operations.get(name)
        if operation is None and self.node is not None:
            node = get_operation_ast(self.node, name)
            if node is not None:
                operation = Operation(
                    node,
                    operation_name(self._schema, self.node, node),
                    row_variables(node),
                    find_cacheability(self._schema, self.node, node),
                    Cost(self._schema, self.node, node, self._limits),
                    Executable(self._schema, self.node, node),
                )
                self._operations[name] = operation
        return operation


class Documents:
    """The most recently used documents, at most `MAX_DOCUMENTS`."""

    def __init__(self, schema: GraphQLSchema, limits: Limits = DEFAULT_LIMITS) -> None:
        self._schema = schema
        self._limits = limits
        self._rules = specified_rules if limits.introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
        self._documents: LRU[str, Document] = LRU(MAX_DOCUMENTS)

    def __contains__(self, text: str) -> bool:
        """Whether the document of a text is cached."""
        return text in self._documents

    def get(self, text: str) -> Document:
        """Return the document of a text; parse and validate it if it is not cached."""
        document = self._documents.get(text)
        if document is None:
            document = self._parse(text)
            self._documents.put(text, document)
        return document

    def _parse(self, text: str) -> Document:
        try:
            node = _unlink_tokens(parse(text, max_tokens=self._limits.tokens))
            check_shape(node, self._limits)
        except GraphQLError as error:
            return Document(self._schema, self._limits, text, None, [_with_code(error, "GRAPHQL_PARSE_FAILED")])
        except OverLimit as error:
            return Document(self._schema, self._limits, text, None, over_limit=error)
        errors = [_with_code(error, "GRAPHQL_VALIDATION_FAILED") for error in self._validate(node)]
        return Document(self._schema, self._limits, text, None if errors else node, errors)

    def _validate(self, node: DocumentNode) -> list[GraphQLError]:
        # Hide suggestions when introspection is off: they leak field names.
        return validate(self._schema, node, self._rules, hide_suggestions=not self._limits.introspection)


def _unlink_tokens(node: DocumentNode) -> DocumentNode:
    """Remove the links between the tokens of a document, which are not needed after parsing, and return it.

    The links are reference cycles: with them the document would stay in memory until the next garbage collection of
    the oldest generation, which is rare here.
    """
    token = node.loc.start_token if node.loc else None
    while token:
        following, token.prev, token.next = token.next, None, None
        token = following
    return node


def _with_code(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {**(error.extensions or {}), "code": code}
    return error
