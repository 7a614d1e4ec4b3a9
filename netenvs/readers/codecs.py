"""Compressed streams, told apart by their first bytes: gzip, bzip2, xz, zstd, LZ4 and Snappy.

LZ4 and Snappy come in the frames of their own tools and in those of Java libraries, which Spark writes:
``net.jpountz.lz4.LZ4BlockOutputStream`` of lz4-java and ``org.xerial.snappy.SnappyOutputStream`` of snappy-java.
zstd needs the package zstandard, LZ4 and Snappy need cramjam; both are in the extra ``logs``.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from netenvs.readers.errors import InputError

EXTRA = "logs"
MAX_BLOCK_BYTES = 64 * 2**20
"""The largest block of a stream that is unpacked at once; writers use 64 KiB to 32 MiB."""
MAX_FRAME_BYTES = 2 * 2**30
"""The most that an LZ4 or Snappy file of the tools, which is unpacked as a whole, may hold."""


class Codec(NamedTuple):
    """One kind of compression."""

    name: str
    magic: bytes
    """How a file begins."""
    unpack: Callable[[BinaryIO, str], BinaryIO]
    """Compressed stream, name of the file for messages -> plain stream."""


def unpacked(file: BinaryIO, name: str) -> BinaryIO:
    """The plain content of a seekable binary file, itself where it is not compressed.

    Raises :class:`InputError` where the package for it is not installed, naming the codec; what is damaged is found
    when the stream is read, see :func:`netenvs.readers.errors.decoding`.
    """
    codec = codec_of(file)
    return file if codec is None else codec.unpack(file, name)


def codec_of(file: BinaryIO) -> Codec | None:
    """The codec of a seekable binary file by its first bytes; None: it is none of the known."""
    start = file.read(max(len(codec.magic) for codec in CODECS))
    file.seek(0)
    return next((codec for codec in CODECS if start.startswith(codec.magic)), None)


def _package(module: str, codec: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f'{name}: compressed with {codec}; unpack it first, or run pip install -e ".[{EXTRA}]", for {module}'
        ) from None


def _gzip(file: BinaryIO, name: str) -> BinaryIO:
    return gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]


def _bzip2(file: BinaryIO, name: str) -> BinaryIO:
    return bz2.BZ2File(file)  # type: ignore[return-value]


def _xz(file: BinaryIO, name: str) -> BinaryIO:
    return lzma.LZMAFile(file)  # type: ignore[return-value]


def _zstd(file: BinaryIO, name: str) -> BinaryIO:
    zstandard = _package("zstandard", "zstd", name)
    plain = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file, read_across_frames=True)
    return io.BufferedReader(plain)


def _lz4_frame(file: BinaryIO, name: str) -> BinaryIO:
    cramjam, content = _package("cramjam", "lz4", name), file.read()
    _check_size(sum(_lz4_frame_sizes(content)), "lz4 -d", name)
    return io.BytesIO(cramjam.lz4.decompress(content))


def _lz4_frame_sizes(content: bytes) -> Iterator[int]:
    """Upper bounds of the plain bytes of each block (LZ4 Frame Format Description 1.6.4)."""
    at = 0
    while at + 7 <= len(content) and content[at : at + 4] == _LZ4_FRAME:
        flags, largest = content[at + 4], 1 << (8 + 2 * (content[at + 5] >> 4 & 7))
        at += 7 + 8 * bool(flags & 8) + 4 * bool(flags & 1)
        while at + 4 <= len(content):
            (length,) = struct.unpack_from("<I", content, at)
            at += 4
            if not length:
                break
            at += (length & 0x7FFFFFFF) + 4 * bool(flags & 16)
            yield largest
        at += 4 * bool(flags & 4)


def _snappy_frame(file: BinaryIO, name: str) -> BinaryIO:
    cramjam, content = _package("cramjam", "snappy", name), file.read()
    # a block holds 64 KiB at most (google/snappy, framing_format.txt), and has 8 bytes before it and 3 in it at least
    _check_size(min(len(content) // 11 * 65536, len(content) * 64), "snzip -d", name)
    return io.BytesIO(cramjam.snappy.decompress(content))


def _check_size(most_bytes: int, command: str, name: str) -> None:
    if most_bytes > MAX_FRAME_BYTES:
        raise InputError(f"{name}: it may hold {most_bytes / 2**30:.1f} GiB; unpack it first ({command})")


def _lz4_blocks(file: BinaryIO, name: str) -> BinaryIO:
    return io.BufferedReader(_Blocks(_read_lz4_blocks(file, _package("cramjam", "lz4", name))))


def _read_lz4_blocks(file: BinaryIO, cramjam: Any) -> Iterator[bytes]:
    """Blocks: "LZ4Block", method and level, packed and plain length, checksum; an empty one ends a stream."""
    while head := file.read(21):
        if len(head) < 21 or head[:8] != _LZ4_BLOCK:
            raise ValueError("its LZ4 blocks are cut or damaged")
        method, packed, plain = head[8] & 0xF0, *struct.unpack("<II", head[9:17])
        if packed > MAX_BLOCK_BYTES or plain > MAX_BLOCK_BYTES:
            raise ValueError(f"an LZ4 block of {max(packed, plain)} bytes")
        content = _exactly(file, packed)
        if plain:
            yield content if method == 0x10 else bytes(cramjam.lz4.decompress_block(content, output_len=plain))


def _snappy_blocks(file: BinaryIO, name: str) -> BinaryIO:
    return io.BufferedReader(_Blocks(_read_snappy_blocks(file, _package("cramjam", "snappy", name))))


def _read_snappy_blocks(file: BinaryIO, cramjam: Any) -> Iterator[bytes]:
    """A header of 16 bytes, which stands again where streams were joined, then lengths (big endian) and raw blocks."""
    while head := file.read(4):
        if head == _SNAPPY_JAVA[:4]:
            _exactly(file, 12)
            continue
        if len(head) < 4:
            raise ValueError("its Snappy blocks are cut")
        (length,) = struct.unpack(">I", head)
        if length > MAX_BLOCK_BYTES:
            raise ValueError(f"a Snappy block of {length} bytes")
        content = _exactly(file, length)
        if cramjam.snappy.decompress_raw_len(content) > MAX_BLOCK_BYTES:
            raise ValueError("a Snappy block that is too large")
        yield bytes(cramjam.snappy.decompress_raw(content))


def _exactly(file: BinaryIO, length: int) -> bytes:
    content = file.read(length)
    if len(content) < length:
        raise ValueError("it is cut short")
    return content


class _Blocks(io.RawIOBase):
    """A stream of what an iterator of blocks gives."""

    def __init__(self, blocks: Iterator[bytes]):
        self._blocks, self._left = blocks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = block
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


_LZ4_FRAME, _LZ4_BLOCK, _SNAPPY_JAVA = b"\x04\x22\x4d\x18", b"LZ4Block", b"\x82SNAPPY\x00"
CODECS = (
    Codec("gzip", b"\x1f\x8b", _gzip),
    Codec("bzip2", b"BZh", _bzip2),
    Codec("xz", b"\xfd7zXZ\x00", _xz),
    Codec("zstd", b"\x28\xb5\x2f\xfd", _zstd),
    Codec("lz4", _LZ4_FRAME, _lz4_frame),
    Codec("lz4", _LZ4_BLOCK, _lz4_blocks),
    Codec("snappy", b"\xff\x06\x00\x00sNaPpY", _snappy_frame),
    Codec("snappy", _SNAPPY_JAVA, _snappy_blocks),
)
