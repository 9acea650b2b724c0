"""Documents that requests name instead of sending them: trusted documents by id, persisted queries by hash.

`documentId` is the parameter of the persisted documents appendix of GraphQL over HTTP; `extensions.persistedQuery` that
of Apollo's automatic persisted queries.
"""

import sys
from collections import OrderedDict

from graph.http.errors import (
    BadRequest,
    DocumentNotFound,
    PersistedQueryHashMismatch,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
)
from graph.http.requests import GraphQLRequest, PersistedQuery
from graph.http.trusted_documents import TrustedDocuments, sha256

MAX_PERSISTED_QUERY_BYTES = 8 << 20
"""Memory for persisted queries."""

_ENTRY_BYTES = 300
"""Memory of an entry besides its document."""


class PersistedQueries:
    """The most recently used persisted queries, in at most `max_bytes`."""

    def __init__(self, max_bytes: int = MAX_PERSISTED_QUERY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._documents: OrderedDict[str, str] = OrderedDict()
        self.size = 0

    def find(self, hash_: str) -> str | None:
        """Return a document by its hash."""
        document = self._documents.get(hash_)
        if document is not None:
            self._documents.move_to_end(hash_)
        return document

    def put(self, hash_: str, document: str) -> None:
        """Add a document, and evict the least recently used ones if there is no room."""
        if hash_ in self._documents:
            return
        self._documents[hash_] = document
        self.size += _size(document)
        while self.size > self._max_bytes:
            _, evicted = self._documents.popitem(last=False)
            self.size -= _size(evicted)


class RequestedDocuments:
    """Finds the document that a request sends or names."""

    def __init__(self, trusted: TrustedDocuments) -> None:
        self._trusted = trusted
        self._persisted_queries = PersistedQueries()

    def find(self, request: GraphQLRequest) -> str:
        """Return the document to execute. Raises `HTTPError` if it is unknown or not trusted."""
        if request.document_id:
            return self._by_id(request.document_id)
        document = request.query
        if request.persisted_query is not None:
            document = self._by_hash(request.persisted_query, document)
        if document is None:
            raise BadRequest("The request has no `query`.")
        self._trusted.check(document)
        return document

    def remember(self, request: GraphQLRequest) -> None:
        """Keep the document of a request, which must be valid, if it was sent with its hash."""
        if request.query and request.persisted_query:
            self._persisted_queries.put(request.persisted_query.sha256, request.query)

    def _by_id(self, document_id: str) -> str:
        document = self._trusted.find(document_id)
        if document is None:
            raise DocumentNotFound(
                f"No trusted document has the id `{document_id[:100]}`. Add it to the list in "
                "PRICEBOOK_TRUSTED_DOCUMENTS before releasing its client."
            )
        return document

    def _by_hash(self, query: PersistedQuery, document: str | None) -> str:
        if query.version != 1:
            raise PersistedQueryNotSupported
        if document is not None:
            if sha256(document) != query.sha256:
                raise PersistedQueryHashMismatch(
                    "`sha256Hash` is not the SHA-256 of `query`. Send it in lower-case hexadecimal digits."
                )
            return document
        found = self._trusted.find(f"sha256:{query.sha256}") or self._persisted_queries.find(query.sha256)
        if found is None:
            raise PersistedQueryNotFound
        return found


def _size(document: str) -> int:
    return sys.getsizeof(document) + _ENTRY_BYTES
