"""The errors of files.

FileRefused              the file as a whole; nothing that follows in it can be trusted
├── UnknownEncoding, WrongEncoding
└── FileCorrupt, FileTruncated, FileTooLarge, DecompressionBomb, LineTooLong
"""

from storage.errors import Refused


class FileRefused(Refused):
    """The file as a whole cannot be taken: nothing that follows in it can be trusted."""

    def __init__(self, message: str) -> None:
        super().__init__(message, path=("input", "file"))


class UnknownEncoding(FileRefused):
    """The file's name does not say how to read it."""

    code = "UNKNOWN_ENCODING"


class WrongEncoding(FileRefused):
    """The file is not what its name says."""

    code = "WRONG_ENCODING"


class FileCorrupt(FileRefused):
    """Compressed data that cannot be decompressed, or whose check sum or length is wrong."""

    code = "FILE_CORRUPT"


class FileTruncated(FileRefused):
    """Compressed data that ends too early."""

    code = "FILE_TRUNCATED"


class FileTooLarge(FileRefused):
    """The file is over the limit, once decompressed."""

    code = "FILE_TOO_LARGE"


class LineTooLong(FileRefused):
    """A row is longer than any price can be."""

    code = "LINE_TOO_LONG"

    def __init__(self, line: int, limit: int) -> None:
        super().__init__(
            f"The row that begins on line {line} is over {limit} bytes. Look for a missing line break or an open quote."
        )
        self.line = line


class DecompressionBomb(FileRefused):
    """Compressed data that expands as no prices do."""

    code = "DECOMPRESSION_BOMB"

    def __init__(self, ratio: int) -> None:
        super().__init__(f"The file expands to over {ratio} times its size. If it is sound, send it uncompressed.")
