"""A file that appears complete or not at all, compressed according to its name."""

import gzip
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import click

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class CannotWrite(click.ClickException):
    """A file cannot be written; exit code 1."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror or error}.")


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing. It replaces `path` if the context succeeds, and is removed otherwise.

    A link is followed, and the file keeps its permissions. Pipes and devices cannot be replaced; they are written
    to directly. Raises `CannotWrite`.
    """
    try:
        with _opened(path) as raw, _compressed(raw, path.suffix.lower()) as stream:
            yield stream
    except OSError as error:
        raise CannotWrite(path, error) from error


def is_replaceable(path: Path) -> bool:
    """Whether there is a regular file, or nothing yet."""
    return path.is_file() or not path.exists()


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    return _replacing(path) if is_replaceable(path) else path.open("wb")


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as raw:
            if target.exists():
                os.fchmod(raw.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield raw
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _compressed(raw: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    if suffix == ".gz":
        # No name and no time, so that the same prices give the same file.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as stream:
            yield cast("BinaryIO", stream)
    elif suffix == ".zst":
        with zstd.ZstdFile(raw, "w") as stream:
            yield cast("BinaryIO", stream)
    else:
        yield raw
