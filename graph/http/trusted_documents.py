"""Trusted documents: the list of the documents of all clients, read at start; it may be the only ones executed."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from graph.http.errors import DocumentNotTrusted
from graph.settings import Settings, SettingsError

_hash = re.compile(r"(?:sha256:)?([0-9a-f]{64})").fullmatch
_custom_id = re.compile(r"(?:x-[A-Za-z0-9._~-]+:)?[A-Za-z0-9._~-]+").fullmatch


class TrustedDocuments:
    """Documents by id: the id in the list, or `sha256:` with the document's hash.

    With `only`, no other document is executed.
    """

    def __init__(self, documents: Mapping[str, str] | None = None, *, only: bool = False) -> None:
        self.only = only
        self._by_id = dict(documents or {})
        self._by_id |= {f"sha256:{sha256(document)}": document for document in self._by_id.values()}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Read the list that the settings name. Raises `SettingsError`."""
        file = settings.trusted_documents
        if file is None:
            if settings.trusted_documents_only:
                raise SettingsError(
                    ["PRICEBOOK_TRUSTED_DOCUMENTS_ONLY needs PRICEBOOK_TRUSTED_DOCUMENTS: set the path of the list."]
                )
            return cls()
        return cls(_read(file), only=settings.trusted_documents_only)

    def find(self, document_id: str) -> str | None:
        """Return a document by its id."""
        return self._by_id.get(document_id)

    def check(self, document: str) -> None:
        """Raise `DocumentNotTrusted` if a document must not be executed."""
        if self.only and f"sha256:{sha256(document)}" not in self._by_id:
            raise DocumentNotTrusted(
                "This server executes only trusted documents, and this one is not on its list. Send the `documentId` "
                "of a trusted document, or add this one to the list in PRICEBOOK_TRUSTED_DOCUMENTS."
            )


def sha256(document: str) -> str:
    """Return the hash of a document in hexadecimal digits."""
    return hashlib.sha256(document.encode()).hexdigest()


def _read(file: Path) -> dict[str, str]:
    try:
        documents = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            [f'PRICEBOOK_TRUSTED_DOCUMENTS: {file} is not a JSON object like {{"id": "query {{ ... }}"}}: {error}.']
        ) from error
    found = [_problem(document_id, document) for document_id, document in documents.items()]
    problems = [f"PRICEBOOK_TRUSTED_DOCUMENTS: {file}: {problem}" for problem in found if problem]
    if problems:
        raise SettingsError(problems)
    return documents


def _problem(document_id: str, document: str) -> str | None:
    hashed = _hash(document_id)
    if hashed and hashed[1] != sha256(document):
        return f"`{document_id}` is not the SHA-256 of its document, which is {sha256(document)}."
    if not hashed and not _custom_id(document_id):
        return f"`{document_id[:100]}` is not a valid id: use sha256:<64 hexadecimal digits>, or letters, digits, -._~."
    return None
