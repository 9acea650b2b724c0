"""Uploaded files, which are read while they arrive."""

from collections.abc import AsyncIterator

from storage import FileRows, Refused


class UploadReused(Refused):
    """Two mutations of a request use the same file."""

    code = "UPLOAD_REUSED"

    def __init__(self) -> None:
        super().__init__("An uploaded file can be used once. Send a separate request for each use.")


class Upload:
    """The file of a multipart request. `max_bytes` limits its decompressed size."""

    def __init__(self, name: str, chunks: AsyncIterator[bytes], max_bytes: int) -> None:
        self.name = name
        self._chunks = chunks
        self._max_bytes = max_bytes
        self._is_used = False

    def rows(self) -> FileRows:
        """Return the rows of the file. Raises `UploadReused` on a second call, `UnknownEncoding`."""
        if self._is_used:
            raise UploadReused
        self._is_used = True
        return FileRows(self.name, self._chunks, self._max_bytes)
