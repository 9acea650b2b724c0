"""Documents that requests name instead of sending them: trusted documents by id, persisted queries by hash.

`documentId` is the parameter of the persisted documents appendix of GraphQL over HTTP; `extensions.persistedQuery` that
of Apollo's automatic persisted queries.
"""

import sys

from graph.http.errors import (
    BadRequest,
    DocumentNotFound,
    PersistedQueryHashMismatch,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
)
from graph.http.requests import GraphQLRequest, PersistedQuery
from graph.http.trusted_documents import TrustedDocuments, sha256
from loaders import LRU

MAX_PERSISTED_QUERY_BYTES = 8 << 20
"""Memory for persisted queries."""

_ENTRY_BYTES = 300
"""Memory of an entry besides its document."""


class RequestedDocuments:
    """Finds the document that a request sends or names."""

    def __init__(self, trusted: TrustedDocuments) -> None:
        self._trusted = trusted
        self._queries: LRU[str, str] = LRU(
            MAX_PERSISTED_QUERY_BYTES, lambda _, text: sys.getsizeof(text) + _ENTRY_BYTES
        )

    def find(self, request: GraphQLRequest) -> str:
        """Return the document to execute. Raises `HTTPError` if it is unknown or not trusted."""
        if request.document_id:
            return self._by_id(request.document_id)
        document = request.query or None  # clients that must send a string send an empty one
        if request.persisted_query is not None:
            document = self._by_hash(request.persisted_query, document)
        if document is None:
            raise BadRequest("The request has no `query`.")
        self._trusted.check(document)
        return document

    def remember(self, request: GraphQLRequest) -> None:
        """Keep the document of a request, which must be valid, if it was sent with its hash."""
        query = request.persisted_query
        if request.query and query and not self._queries.get(query.sha256):
            self._queries.put(query.sha256, request.query)

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
        found = self._trusted.find(f"sha256:{query.sha256}") or self._queries.get(query.sha256)
        if found is None:
            raise PersistedQueryNotFound
        return found
