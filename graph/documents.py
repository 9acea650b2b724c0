"""Documents: parsed and validated once, and kept by their text."""

from collections import OrderedDict
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    parse,
    validate,
)

from graph.rows import row_variables

MAX_DOCUMENTS = 1000
MAX_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document. `rows` are its variables that hold rows: see `graph.rows`."""

    node: OperationDefinitionNode
    rows: dict[str, str]

    @property
    def kind(self) -> OperationType:
        """Whether it is a query, a mutation or a subscription."""
        return self.node.operation


@dataclass(frozen=True, slots=True)
class Document:
    """A document that is valid, or the errors that say why it is not."""

    node: DocumentNode | None
    errors: list[GraphQLError] = field(default_factory=list)

    def operation(self, name: str | None) -> Operation | None:
        """Return the operation to execute; None where the name leaves it open."""
        node = get_operation_ast(self.node, name) if self.node else None
        return Operation(node, row_variables(node)) if node else None


class Documents:
    """The documents that were asked most recently, at most `MAX_DOCUMENTS`."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._documents: OrderedDict[str, Document] = OrderedDict()

    def get(self, text: str) -> Document:
        """Return the document of a text."""
        document = self._documents.get(text)
        if document is None:
            document = self._documents[text] = self._read(text)
            if len(self._documents) > MAX_DOCUMENTS:
                self._documents.popitem(last=False)
        else:
            self._documents.move_to_end(text)
        return document

    def _read(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=MAX_TOKENS)
        except GraphQLError as error:
            return Document(None, [_coded(error, "GRAPHQL_PARSE_FAILED")])
        errors = [_coded(error, "GRAPHQL_VALIDATION_FAILED") for error in validate(self._schema, node)]
        return Document(None if errors else node, errors)


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {**(error.extensions or {}), "code": code}
    return error
