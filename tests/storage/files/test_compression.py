"""Compressed files: decompressed in bounded steps, and rejected if truncated or corrupt."""

import asyncio
import gzip
import sys
import zlib
from collections.abc import AsyncIterator

import pytest

from storage.files.compression import GZIP, PIECE_BYTES, ZSTD, Encoding, decompressed
from storage.files.errors import DecompressionBomb, FileCorrupt, FileTruncated, WrongEncoding
from tests.storage.reading import COMPRESS, arriving

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODINGS = [pytest.param(GZIP, COMPRESS[".gz"], id="gzip"), pytest.param(ZSTD, COMPRESS[".zst"], id="zstd")]
SKIPPABLE = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"


def pieces(encoding: Encoding | None, *chunks: bytes) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [piece async for piece in decompressed(arriving(chunks), encoding)]

    return asyncio.run(collect())


def decompress(encoding: Encoding | None, *chunks: bytes) -> bytes:
    return b"".join(pieces(encoding, *chunks))


def single_bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_members_and_frames_are_concatenated(encoding: Encoding, compress: type[bytes]) -> None:
    data = compress(b"one ") + compress(b"") + compress(b"two")
    assert decompress(encoding, data) == decompress(encoding, *single_bytes(data)) == b"one two"


def test_a_gzip_member_may_be_padded_with_zeros() -> None:
    data = gzip.compress(b"one") + b"\0" * 20 + gzip.compress(b"two") + b"\0" * 20_000
    assert decompress(GZIP, data) == decompress(GZIP, *single_bytes(data)) == b"onetwo"


def test_skippable_zstd_frames_are_skipped() -> None:
    data = SKIPPABLE + zstd.compress(b"one") + SKIPPABLE
    assert decompress(ZSTD, data) == decompress(ZSTD, *single_bytes(data)) == b"one"


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_a_decompression_bomb_is_rejected_after_some_pieces(encoding: Encoding, compress: type[bytes]) -> None:
    bomb = compress(bytes(64 << 20))
    assert len(bomb) < 100_000
    sizes: list[int] = []

    async def decompress_bomb() -> None:
        async for piece in decompressed(arriving([bomb]), encoding):
            sizes.append(len(piece))  # noqa: PERF401 - the list is needed after the error

    with pytest.raises(DecompressionBomb, match="1000 times"):
        asyncio.run(decompress_bomb())
    assert 0 < max(sizes) <= PIECE_BYTES
    assert sum(sizes) <= 34 << 20


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_a_small_file_may_have_any_compression_ratio(encoding: Encoding, compress: type[bytes]) -> None:
    data = compress(bytes(8 << 20))
    assert len(data) * 1000 < 8 << 20
    assert len(decompress(encoding, data)) == 8 << 20


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_input_is_read_only_as_needed(encoding: Encoding, compress: type[bytes]) -> None:
    data = compress(bytes(8 << 20))
    read: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 10):
            read.append(start)
            yield data[start : start + 10]

    async def first_piece() -> bytes:
        async for piece in decompressed(chunks(), encoding):
            return piece
        raise AssertionError

    asyncio.run(first_piece())
    assert len(read) < 10


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_a_truncated_file_is_rejected(encoding: Encoding, compress: type[bytes]) -> None:
    data = compress(bytes(range(256)) * 100)
    for end in (0, 5, len(data) // 2, len(data) - 1):
        with pytest.raises(FileTruncated):
            pieces(encoding, data[:end])
    with pytest.raises(FileTruncated):
        pieces(encoding, data, data[:-1])


def test_a_wrong_checksum_or_length_is_rejected() -> None:
    data = gzip.compress(b"hello" * 100)
    for at in (-1, -5):
        corrupted = bytearray(data)
        corrupted[at] ^= 1
        with pytest.raises(FileCorrupt, match="incorrect"):
            pieces(GZIP, bytes(corrupted))
    checked = zstd.compress(b"hello" * 100, options={zstd.CompressionParameter.checksum_flag: 1})
    for at in (-1, 5):
        corrupted = bytearray(checked)
        corrupted[at] ^= 1
        with pytest.raises(FileCorrupt):
            pieces(ZSTD, bytes(corrupted))


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_trailing_data_of_another_format_is_rejected(encoding: Encoding, compress: type[bytes]) -> None:
    with pytest.raises(FileCorrupt):
        pieces(encoding, compress(b"hello") + b"and then some plain text")


def test_corrupt_deflate_data_is_rejected() -> None:
    damaged = bytearray(gzip.compress(bytes(range(256)) * 100))
    damaged[40:60] = bytes(20)
    with pytest.raises(FileCorrupt):
        pieces(GZIP, bytes(damaged))


@pytest.mark.parametrize(("window_log", "rejected"), [(24, False), (27, True)])
def test_a_zstd_frame_with_a_large_window_is_rejected(window_log: int, rejected: bool) -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    data = compressor.compress(bytes(1 << 20)) + compressor.flush()
    if rejected:
        with pytest.raises(FileCorrupt, match="32 MiB"):
            pieces(ZSTD, data)
    else:
        assert len(decompress(ZSTD, data)) == 1 << 20


@pytest.mark.parametrize(
    ("encoding", "data", "message"),
    [
        (None, gzip.compress(b"x", mtime=0), "not compressed, but by its first bytes it is gzip"),
        (None, zstd.compress(b"x"), "not compressed, but by its first bytes it is zstd"),
        (GZIP, zstd.compress(b"x"), "gzip, but by its first bytes it is zstd"),
        (ZSTD, gzip.compress(b"x", mtime=0), "zstd, but by its first bytes it is gzip"),
        (GZIP, b"sku,amount", "gzip, but by its first bytes it is not compressed"),
        (ZSTD, b"{}", "zstd, but by its first bytes it is not compressed"),
        (GZIP, zlib.compress(b"x"), "gzip, but by its first bytes it is not compressed"),
    ],
)
def test_a_file_that_does_not_match_its_name_is_rejected(encoding: Encoding | None, data: bytes, message: str) -> None:
    for chunks in ([data], single_bytes(data)):
        with pytest.raises(WrongEncoding, match=message):
            pieces(encoding, *chunks)


def test_an_uncompressed_file_is_passed_on_in_pieces() -> None:
    data = bytes(range(256)) * 4096
    assert decompress(None, data) == decompress(None, b"", data[:1], b"", data[1:]) == data
    assert max(map(len, pieces(None, data))) <= PIECE_BYTES
    assert decompress(None) == b""
    assert decompress(None, b"a") == b"a"
