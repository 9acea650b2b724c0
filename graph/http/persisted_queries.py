"""Documents that a request names instead of sending them: trusted ones by id, any by hash once it was sent.

`documentId` is that of the persisted documents appendix of GraphQL over HTTP; `extensions.persistedQuery` that of
Apollo's automatic persisted queries.
"""

import sys

from graph.http.errors import BadRequest
from graph.http.requests import GraphQLRequest, PersistedQuery
from graph.http.trusted_documents import TrustedDocuments, sha256
from loaders import LRU

MAX_BYTES = 8 << 20

_OVERHEAD = 300


class RequestedDocuments:
    """Finds the text of the document that a request asks for."""

    def __init__(self, trusted: TrustedDocuments) -> None:
        self._trusted = trusted
        self._queries: LRU[str, str] = LRU(MAX_BYTES, lambda _, text: sys.getsizeof(text) + _OVERHEAD)

    def text(self, asked: GraphQLRequest) -> str:
        """Return the document that is to be executed. Raises `BadRequest` where there is none, or it may not be."""
        if asked.document_id:
            return self._by_id(asked.document_id)
        query, text = asked.persisted_query, asked.query
        if query is not None:
            text = self._by_hash(query, text)
        if text is None:
            raise BadRequest(400, "BAD_REQUEST", "The request has no `query`.")
        self._trusted.check(text)
        return text

    def keep(self, asked: GraphQLRequest) -> None:
        """Keep the document of a request, which is valid, where it came with its hash."""
        if asked.query and asked.persisted_query and not self._queries.get(asked.persisted_query.sha256):
            self._queries.put(asked.persisted_query.sha256, asked.query)

    def _by_id(self, document_id: str) -> str:
        text = self._trusted.find(document_id)
        if text is None:
            raise BadRequest(
                None,
                "DOCUMENT_NOT_FOUND",
                f"No trusted document has the id `{document_id[:100]}`. Have it put on the list in "
                "PRICEBOOK_TRUSTED_DOCUMENTS before its client is released.",
            )
        return text

    def _by_hash(self, query: PersistedQuery, text: str | None) -> str:
        if query.version != 1:
            # The message is part of Apollo's protocol: clients send whole documents from then on.
            raise BadRequest(None, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
        if text is not None:
            if sha256(text) != query.sha256:
                raise BadRequest(
                    400,
                    "PERSISTED_QUERY_HASH_MISMATCH",
                    "`sha256Hash` is not the SHA-256 of `query` in lower-case hexadecimal digits.",
                )
            return text
        found = self._trusted.find(f"sha256:{query.sha256}") or self._queries.get(query.sha256)
        if found is None:
            # So is this one: clients send the document with its hash then.
            raise BadRequest(None, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
        return found
