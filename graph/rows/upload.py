"""Uploads: files that arrive while they are read."""

from collections.abc import AsyncIterator

from storage import FileRows, Refused


class UploadReused(Refused):
    """One file, for two mutations of a request."""

    code = "UPLOAD_REUSED"

    def __init__(self) -> None:
        super().__init__("A file is read while it arrives, so it can be used once. Send the request once for each use.")


class Upload:
    """The file of a multipart request. `max_bytes` is how large it may be once decompressed."""

    def __init__(self, name: str, chunks: AsyncIterator[bytes], max_bytes: int) -> None:
        self.name = name
        self._multipart = chunks
        self._max_bytes = max_bytes
        self._used = False

    def rows(self) -> FileRows:
        """Return the rows of the file, the first time. Raises `UploadReused`, `UnknownEncoding`."""
        if self._used:
            raise UploadReused
        self._used = True
        return FileRows(self.name, self._multipart, self._max_bytes)
