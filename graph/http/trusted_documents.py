"""Trusted documents: the list of what clients were built with, read at start, and whether anything else is executed."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from graph.http.errors import BadRequest
from graph.settings import Settings, SettingsError

_hash = re.compile(r"(?:sha256:)?([0-9a-f]{64})").fullmatch
_custom_id = re.compile(r"(?:x-[A-Za-z0-9._~-]+:)?[A-Za-z0-9._~-]+").fullmatch


class TrustedDocuments:
    """Documents by their ids. With `only`, nothing else is executed.

    Each can be asked for by the id that the list gives it, and by `sha256:` with the hash of its text.
    """

    def __init__(self, documents: Mapping[str, str] | None = None, *, only: bool = False) -> None:
        self.only = only
        self._by_id = dict(documents or {})
        self._by_id |= {f"sha256:{sha256(text)}": text for text in self._by_id.values()}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the list that the settings name. Raises `SettingsError`."""
        file = settings.trusted_documents
        if file is None:
            if settings.trusted_documents_only:
                raise SettingsError(["PRICEBOOK_TRUSTED_DOCUMENTS_ONLY needs PRICEBOOK_TRUSTED_DOCUMENTS, the list."])
            return cls()
        return cls(_read(file), only=settings.trusted_documents_only)

    def find(self, document_id: str) -> str | None:
        """Return the text of a document by its id."""
        return self._by_id.get(document_id)

    def check(self, text: str) -> None:
        """Raise `BadRequest` where a document may not be executed."""
        if self.only and f"sha256:{sha256(text)}" not in self._by_id:
            raise BadRequest(
                None,
                "DOCUMENT_NOT_TRUSTED",
                "Only trusted documents are executed here, and this is none. Send `documentId`, or have the "
                "document put on the list in PRICEBOOK_TRUSTED_DOCUMENTS.",
            )


def sha256(text: str) -> str:
    """Return the hash of a document's text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _read(file: Path) -> dict[str, str]:
    try:
        documents = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            [f'PRICEBOOK_TRUSTED_DOCUMENTS: {file} is no JSON object like {{"id": "query {{ ... }}"}}: {error}.']
        ) from error
    wrong = [_wrong(document_id, text) for document_id, text in documents.items()]
    problems = [f"PRICEBOOK_TRUSTED_DOCUMENTS: {file}: {each}" for each in wrong if each]
    if problems:
        raise SettingsError(problems)
    return documents


def _wrong(document_id: str, text: str) -> str | None:
    hashed = _hash(document_id)
    if hashed and hashed[1] != sha256(text):
        return f"`{document_id}` is not the SHA-256 of its document, which is {sha256(text)}."
    if not hashed and not _custom_id(document_id):
        return f"`{document_id[:100]}` cannot be an id: use sha256:<64 hexadecimal digits>, or letters, digits, -._~."
    return None
