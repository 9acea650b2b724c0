"""The errors of files of prices.

FileRefused                  the file as a whole is invalid, not just some rows
├── UnknownEncoding
├── WrongEncoding
├── WrongFormat
├── FileCorrupt
├── FileTruncated
├── FileTooLarge
├── LineTooLong
└── DecompressionBomb
"""

from storage.errors import Refused


class FileRefused(Refused):
    """The file as a whole is invalid, so the rest of it cannot be decoded."""

    def __init__(self, message: str) -> None:
        super().__init__(message, path=("input", "file"))


class UnknownEncoding(FileRefused):
    """The file name has no supported extension."""

    code = "UNKNOWN_ENCODING"


class WrongEncoding(FileRefused):
    """The content of the file does not match its extension."""

    code = "WRONG_ENCODING"


class WrongFormat(FileRefused):
    """The file is of another format than its name promises."""

    code = "WRONG_FORMAT"


class FileCorrupt(FileRefused):
    """Compressed data cannot be decompressed, or has a wrong checksum or length."""

    code = "FILE_CORRUPT"


class FileTruncated(FileRefused):
    """Compressed data ends too early."""

    code = "FILE_TRUNCATED"


class FileTooLarge(FileRefused):
    """The decompressed file exceeds the limit."""

    code = "FILE_TOO_LARGE"


class LineTooLong(FileRefused):
    """A row is longer than any price can be."""

    code = "LINE_TOO_LONG"

    def __init__(self, line: int, limit: int) -> None:
        super().__init__(
            f"The row on line {line} is longer than {limit} bytes. Check for a missing line break or an unclosed quote."
        )
        self.line = line


class DecompressionBomb(FileRefused):
    """Compressed data expands far more than prices do."""

    code = "DECOMPRESSION_BOMB"

    def __init__(self, ratio: int) -> None:
        super().__init__(
            f"The file expands to more than {ratio} times its size. If this is intended, send it uncompressed."
        )
