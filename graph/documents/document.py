"""Documents, parsed and validated once and cached by their text."""

import hashlib
import sys
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
from graph.documents.errors import RequestErrors
from graph.documents.operation_name import operation_name
from graph.documents.shape import check_shape
from graph.execution import MAX_PLANS, Executable
from graph.limits.limits import DEFAULT_LIMITS, MAX_ERRORS, Limits
from graph.rows.placeholders import VariableDecoder
from loaders import LRU

MAX_CACHED_BYTES = 32 << 20
"""Memory for documents."""

_ENTRY_BYTES = 60_000
_AST_BYTES_PER_TOKEN = 500
_PLAN_BYTES_PER_TOKEN = 900
"""Memory of a document besides its text, as tracemalloc shows in CPython 3.11, rounded up."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document.

    `name` is its name in metrics, `variables` decodes those that it declares; `cacheability` is None if its response
    must not be shared. Check `cost` with the variables before you execute the operation.
    """

    node: OperationDefinitionNode
    name: str
    variables: VariableDecoder
    cacheability: Cacheability | None
    cost: Cost
    executable: Executable

    @property
    def kind(self) -> OperationType:
        """Its type: query, mutation or subscription."""
        return self.node.operation


class Document:
    """A valid document. `digest` is the BLAKE2b-128 of its text, in hexadecimal.

    `size` is the number of its tokens, or of its fields with fragments spread if they are more.
    """

    def __init__(self, schema: GraphQLSchema, limits: Limits, text: str, node: DocumentNode, fields: int) -> None:
        self.node = node
        self.size = max(node.token_count, fields)
        self.digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        self._schema = schema
        self._limits = limits
        self._operations: dict[str | None, Operation] = {}

    def has(self, name: str | None) -> bool:
        """Whether the operation of a name is cached."""
        return name in self._operations

    def operation(self, name: str | None) -> Operation | None:
        """Return the operation of a name, or the only one; None if there is no such operation, or several without name.

        Operations are cached, so that only the first call for a name does the work.
        """
        operation = self._operations.get(name)
        if operation is None:
            node = get_operation_ast(self.node, name)
            if node is not None:
                operation = Operation(
                    node,
                    operation_name(self._schema, self.node, node),
                    VariableDecoder(self._schema, node),
                    find_cacheability(self._schema, self.node, node),
                    Cost(self._schema, self.node, node, self._limits),
                    Executable(self._schema, self.node, node, hide_suggestions=not self._limits.introspection),
                )
                self._operations[name] = operation
        return operation


class Documents:
    """The most recently used valid documents, in at most `MAX_CACHED_BYTES`."""

    def __init__(self, schema: GraphQLSchema, limits: Limits = DEFAULT_LIMITS) -> None:
        self._schema = schema
        self._limits = limits
        self._rules = specified_rules if limits.introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
        self._documents: LRU[str, Document] = LRU(MAX_CACHED_BYTES, _weight)

    def has(self, text: str, operation_name: str | None) -> bool:
        """Whether the document of a text is cached, with what is computed once for an operation."""
        document = self._documents.peek(text)
        return document is not None and document.has(operation_name)

    def get(self, text: str) -> Document:
        """Return the document of a text; parse and validate it if it is not cached.

        Raises `RequestErrors`, and `OverLimit` if it exceeds a limit on its shape.
        """
        document = self._documents.get(text)
        if document is None:
            document = self._parse(text)
            self._documents.put(text, document)
        return document

    def _parse(self, text: str) -> Document:
        try:
            node = _unlink_tokens(parse(text, max_tokens=self._limits.tokens))
        except GraphQLError as error:
            raise RequestErrors([error], "GRAPHQL_PARSE_FAILED") from None
        fields = check_shape(node, self._limits)
        errors = self._validate(node)
        if errors:
            raise RequestErrors(errors, "GRAPHQL_VALIDATION_FAILED")
        return Document(self._schema, self._limits, text, node, fields)

    def _validate(self, node: DocumentNode) -> list[GraphQLError]:
        # Hide suggestions when introspection is off: they leak field names.
        hide_suggestions = not self._limits.introspection
        return validate(self._schema, node, self._rules, MAX_ERRORS, hide_suggestions)


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


def _weight(text: str, document: Document) -> int:
    """Return the memory of a document with all plans that it may get."""
    plans = min(1 << min(text.count("@"), 8), MAX_PLANS)
    per_token = _AST_BYTES_PER_TOKEN + plans * _PLAN_BYTES_PER_TOKEN
    return sys.getsizeof(text) + _ENTRY_BYTES + document.size * per_token
