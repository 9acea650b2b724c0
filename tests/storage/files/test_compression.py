"""Compressed files: decompressed in bounded steps, and refused when they are not whole and sound."""

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


def whole(encoding: Encoding | None, *chunks: bytes) -> bytes:
    return b"".join(pieces(encoding, *chunks))


def single_bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_members_and_frames_follow_each_other(encoding: Encoding, compress: type[bytes]) -> None:
    data = compress(b"one ") + compress(b"") + compress(b"two")
    assert whole(encoding, data) == whole(encoding, *single_bytes(data)) == b"one two"


def test_a_gzip_member_may_be_padded_with_zeros() -> None:
    data = gzip.compress(b"one") + b"\0" * 20 + gzip.compress(b"two") + b"\0" * 20_000
    assert whole(GZIP, data) == whole(GZIP, *single_bytes(data)) == b"onetwo"


def test_zstd_may_have_frames_to_skip() -> None:
    data = SKIPPABLE + zstd.compress(b"one") + SKIPPABLE
    assert whole(ZSTD, data) == whole(ZSTD, *single_bytes(data)) == b"one"


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_a_bomb_is_refused_and_its_beginning_comes_in_pieces(encoding: Encoding, compress: type[bytes]) -> None:
    bomb = compress(bytes(64 << 20))
    assert len(bomb) < 100_000
    sizes: list[int] = []

    async def explode() -> None:
        async for piece in decompressed(arriving([bomb]), encoding):
            sizes.append(len(piece))  # noqa: PERF401 - they are looked at after the error

    with pytest.raises(DecompressionBomb, match="1000 times"):
        asyncio.run(explode())
    assert 0 < max(sizes) <= PIECE_BYTES
    assert sum(sizes) <= 34 << 20


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_a_small_file_may_shrink_to_next_to_nothing(encoding: Encoding, compress: type[bytes]) -> None:
    data = compress(bytes(8 << 20))
    assert len(data) * 1000 < 8 << 20
    assert len(whole(encoding, data)) == 8 << 20


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_no_more_is_asked_for_than_is_read(encoding: Encoding, compress: type[bytes]) -> None:
    data = compress(bytes(8 << 20))
    asked: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 10):
            asked.append(start)
            yield data[start : start + 10]

    async def first_piece() -> bytes:
        async for piece in decompressed(chunks(), encoding):
            return piece
        raise AssertionError

    asyncio.run(first_piece())
    assert len(asked) < 10


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_a_file_that_ends_early_is_refused(encoding: Encoding, compress: type[bytes]) -> None:
    data = compress(bytes(range(256)) * 100)
    for end in (0, 5, len(data) // 2, len(data) - 1):
        with pytest.raises(FileTruncated):
            pieces(encoding, data[:end])
    with pytest.raises(FileTruncated):
        pieces(encoding, data, data[:-1])


def test_a_check_sum_or_a_length_that_lies_is_refused() -> None:
    data = gzip.compress(b"hello" * 100)
    for at in (-1, -5):
        lying = bytearray(data)
        lying[at] ^= 1
        with pytest.raises(FileCorrupt, match="incorrect"):
            pieces(GZIP, bytes(lying))
    checked = zstd.compress(b"hello" * 100, options={zstd.CompressionParameter.checksum_flag: 1})
    for at in (-1, 5):
        lying = bytearray(checked)
        lying[at] ^= 1
        with pytest.raises(FileCorrupt):
            pieces(ZSTD, bytes(lying))


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
def test_what_follows_must_be_of_the_same_kind(encoding: Encoding, compress: type[bytes]) -> None:
    with pytest.raises(FileCorrupt):
        pieces(encoding, compress(b"hello") + b"and then some plain text")


def test_deflated_data_that_is_damaged_is_refused() -> None:
    damaged = bytearray(gzip.compress(bytes(range(256)) * 100))
    damaged[40:60] = bytes(20)
    with pytest.raises(FileCorrupt):
        pieces(GZIP, bytes(damaged))


@pytest.mark.parametrize(("window_log", "refused"), [(24, False), (27, True)])
def test_a_zstd_frame_that_asks_for_much_memory_is_refused(window_log: int, refused: bool) -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    data = compressor.compress(bytes(1 << 20)) + compressor.flush()
    if refused:
        with pytest.raises(FileCorrupt, match="32 MiB"):
            pieces(ZSTD, data)
    else:
        assert len(whole(ZSTD, data)) == 1 << 20


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
def test_a_file_that_is_not_what_it_is_called_is_refused(encoding: Encoding | None, data: bytes, message: str) -> None:
    for chunks in ([data], single_bytes(data)):
        with pytest.raises(WrongEncoding, match=message):
            pieces(encoding, *chunks)


def test_what_is_not_compressed_passes_in_pieces() -> None:
    data = bytes(range(256)) * 4096
    assert whole(None, data) == whole(None, b"", data[:1], b"", data[1:]) == data
    assert max(map(len, pieces(None, data))) <= PIECE_BYTES
    assert whole(None) == b""
    assert whole(None, b"a") == b"a"
