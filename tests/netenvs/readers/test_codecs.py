"""Compressed files come out as they went in; damaged and enormous ones end in one line."""

import bz2
import gzip
import lzma
import struct

import pytest

from netenvs.readers import codecs
from netenvs.readers.errors import InputError
from netenvs.readers.sources import list_sources

TEXT = "".join(f"{number} some words of a line\n" for number in range(5000))
cramjam, zstandard = pytest.importorskip("cramjam"), pytest.importorskip("zstandard")


def lz4_blocks(content: bytes, size: int = 60_000) -> bytes:
    """As net.jpountz.lz4.LZ4BlockOutputStream writes them; the last block of a stream is empty."""
    written = b""
    for start in range(0, len(content), size):
        plain = content[start : start + size]
        packed = bytes(cramjam.lz4.compress_block(plain, store_size=False))
        written += b"LZ4Block" + bytes([0x26]) + struct.pack("<III", len(packed), len(plain), 0) + packed
    return written + b"LZ4Block" + bytes([0x16]) + struct.pack("<III", 0, 0, 0)


def snappy_blocks(content: bytes, size: int = 32_768) -> bytes:
    """As org.xerial.snappy.SnappyOutputStream writes them."""
    written = b"\x82SNAPPY\x00" + struct.pack(">II", 1, 1)
    for start in range(0, len(content), size):
        packed = bytes(cramjam.snappy.compress_raw(content[start : start + size]))
        written += struct.pack(">I", len(packed)) + packed
    return written


PACK = {
    "plain": lambda content: content,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: zstandard.compress(content[:999]) + zstandard.compress(content[999:]),
    "lz4": lambda content: bytes(cramjam.lz4.compress(content)),
    "lz4 of Java": lz4_blocks,
    "lz4 of Java, two streams": lambda content: lz4_blocks(content[:999]) + lz4_blocks(content[999:]),
    "snappy": lambda content: bytes(cramjam.snappy.compress(content)),
    "snappy of Java": snappy_blocks,
    "snappy of Java, two streams": lambda content: snappy_blocks(content[:999]) + snappy_blocks(content[999:]),
}


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_every_codec_gives_back_the_text_and_its_lines(pack, tmp_path):
    (tmp_path / "log").write_bytes(pack(TEXT.encode()))
    (source,) = list_sources(tmp_path / "log")
    assert source.text() == TEXT
    assert [line for _, line in source.lines()] == TEXT.splitlines()
    assert TEXT.startswith(source.head)
    assert len(source.head) > 1000


@pytest.mark.parametrize("name", [name for name in PACK if name != "plain"])
def test_damaged_files_end_in_one_line_with_their_name(name, tmp_path):
    content = PACK[name](TEXT.encode())
    for damaged in (content[: len(content) // 2], content[:20], content[:30] + b"\xff" * 40 + content[70:]):
        (tmp_path / "log").write_bytes(damaged)
        try:
            text = list_sources(tmp_path / "log")[0].text()
        except InputError as error:
            text = str(error)
        # some streams end anywhere
        assert TEXT.startswith(text) or (str(tmp_path / "log") in text and "\n" not in text)


def test_a_missing_package_is_named_with_its_codec(tmp_path, monkeypatch):
    (tmp_path / "log").write_bytes(zstandard.compress(TEXT.encode()))
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(InputError, match=r"compressed with zstd; .*logs.* for zstandard"):
        list_sources(tmp_path / "log")


def test_blocks_that_claim_gigabytes_are_refused_before_they_are_made(tmp_path):
    huge = {
        "java-lz4": b"LZ4Block\x26" + struct.pack("<III", 10, 2**31 - 1, 0) + b"x" * 10,
        "java-snappy": b"\x82SNAPPY\x00" + struct.pack(">II", 1, 1) + struct.pack(">I", 2**30) + b"x" * 10,
    }
    for name, content in huge.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            list_sources(tmp_path / name)[0].text()


def test_a_frame_that_may_hold_too_much_is_to_be_unpacked_by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(codecs, "MAX_FRAME_BYTES", 1000)
    for name in ("lz4", "snappy"):
        (tmp_path / name).write_bytes(PACK[name](TEXT.encode()))
        with pytest.raises(InputError, match="unpack it first"):
            list_sources(tmp_path / name)[0].text()
