"""Read TensorFlow V2 checkpoints ("tensor bundles") without TensorFlow: a strict reader of a small subset.

A checkpoint is two files. ``.index`` is a sorted string table in LevelDB's format: data blocks of
prefix-compressed entries, an index block with the place of each data block, and a 48-byte footer with the
place of the index block and a magic number. Each block is followed by a compression byte and the masked
CRC-32C of both. The entry with the empty key is a ``BundleHeaderProto``; every other key is a variable name
and its value a ``BundleEntryProto``: dtype, shape, and offset, size and masked CRC-32C of the raw bytes in
``.data-00000-of-00001``.

Read here: one shard, little-endian, uncompressed blocks, whole dense variables of the dtypes in ``_DTYPES``.
Everything else is refused with a line that says why. Format: tensorflow/core/protobuf/tensor_bundle.proto,
tensorflow/core/lib/io/format.h and LevelDB's doc/table_format.md.
"""

import math
import struct
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from netenvs.datasets.errors import DatasetError
from netenvs.errors import flat

_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57
_BLOCK_TRAILER_BYTES = 5  # compression type, masked CRC-32C
_MAX_DIMENSIONS = 8
_MAX_KEY_BYTES = 1024
#: tensorflow.DataType -> numpy dtype
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "|u1", 9: "<i8", 10: "|b1"}


class _Malformed(Exception):
    """The bytes are not a checkpoint of the kind that is read here; the text says why."""


def read(index: bytes, data: bytes, name: str, variables: Collection[str]) -> dict[str, np.ndarray]:
    """Return the named variables of a checkpoint; the ones it does not hold are left out.

    ``index`` and ``data`` are the contents of ``<name>.index`` and ``<name>.data-00000-of-00001``. Raises
    DatasetError, naming the file, for damage (every checksum is verified) and for what is not supported.
    """
    try:
        arrays: dict[str, np.ndarray] = {}
        header_seen = False
        previous = None
        for key, value in _table(index):
            if previous is not None and key <= previous:
                raise _Malformed("keys are not in ascending order")
            previous = key
            if key == b"":
                _check_header(value)
                header_seen = True
            elif (variable := key.decode("utf-8", "replace")) in variables:
                arrays[variable] = _tensor(value, data, variable)
                if sum(array.nbytes for array in arrays.values()) > len(data):
                    raise _Malformed("its variables overlap")
        if not header_seen:
            raise _Malformed("the header entry is missing")
        return arrays
    except (_Malformed, IndexError, struct.error, ValueError, OverflowError) as error:
        reason = "it ends too early" if isinstance(error, IndexError | struct.error) else flat(error, 200)
        raise DatasetError(
            f"{name} is not a readable TensorFlow checkpoint: {reason}; get it again from the pinned commit"
        ) from None


# The table


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of every entry, in the order of the file."""
    if len(content) < _FOOTER_BYTES:
        raise _Malformed("the index is shorter than its footer")
    footer = content[-_FOOTER_BYTES:]
    if struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise _Malformed("the index does not end in the magic number of a table")
    _, position = _handle(footer, 0)  # the metaindex block: filters, none in a checkpoint
    index_handle, _ = _handle(footer, position)
    free = 0
    for _, value in _entries(_block(content, *index_handle)):
        (offset, size), end = _handle(value, 0)
        if end != len(value):
            raise _Malformed("a block handle has bytes left over")
        if offset < free:  # one block, read as often as there are handles
            raise _Malformed("its blocks overlap")
        free = offset + size
        yield from _entries(_block(content, offset, size))


def _handle(content: bytes, position: int) -> tuple[tuple[int, int], int]:
    """Read a block handle; return ((offset, size), position after it)."""
    offset, position = _varint(content, position)
    size, position = _varint(content, position)
    return (offset, size), position


def _block(content: bytes, offset: int, size: int) -> bytes:
    """Return a block after checking its checksum."""
    end = offset + size
    if end + _BLOCK_TRAILER_BYTES > len(content) - _FOOTER_BYTES:
        raise _Malformed("a block lies outside the index")
    compression, checksum = struct.unpack_from("<BI", content, end)
    if masked_crc32c(content[offset : end + 1]) != checksum:
        raise _Malformed("the checksum of an index block is wrong")
    if compression != 0:
        raise _Malformed(f"an index block is compressed (type {compression}), which is not supported")
    return content[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of a block; a key repeats ``shared`` bytes of the key before it."""
    (num_restarts,) = struct.unpack_from("<I", block, len(block) - 4) if len(block) >= 4 else (0,)
    end = len(block) - 4 - 4 * num_restarts
    if num_restarts < 1 or end < 0:
        raise _Malformed("a block has no room for its restart points")
    position = 0
    key = b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        value_bytes, position = _varint(block, position)
        if shared > len(key) or position + unshared + value_bytes > end:
            raise _Malformed("an entry reaches beyond its block")
        if shared + unshared > _MAX_KEY_BYTES:
            raise _Malformed("a name is too long")
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + value_bytes]
        position += value_bytes


# The messages


def _check_header(message: bytes) -> None:
    """Check a BundleHeaderProto: num_shards = 1, endianness = 2 (0: little), version = 3."""
    fields = dict(_fields(message))
    if (shards := _number(fields, 1)) != 1:
        raise _Malformed(f"it has {shards} shards, only one is supported")
    if _number(fields, 2) != 0:
        raise _Malformed("it is big-endian, which is not supported")


def _tensor(message: bytes, data: bytes, variable: str) -> np.ndarray:
    """Read the variable that a BundleEntryProto describes.

    dtype = 1, shape = 2, shard_id = 3, offset = 4, size = 5, crc32c = 6 (fixed32), slices = 7.
    """
    fields = dict(_fields(message))
    if 7 in fields:
        raise _Malformed(f"{variable} is partitioned, which is not supported")
    if (data_type := _number(fields, 1)) not in _DTYPES:
        raise _Malformed(f"{variable} has data type {data_type}, which is not supported")
    dtype = np.dtype(_DTYPES[data_type])
    shape = _shape(_message(fields, 2), variable)
    offset, size = _number(fields, 4), _number(fields, 5)
    if (shard := _number(fields, 3)) != 0:
        raise _Malformed(f"{variable} lies in shard {shard}, but there is one shard")
    if size != math.prod(shape) * dtype.itemsize:
        raise _Malformed(f"{variable} has {size} bytes, which does not fit shape {shape}")
    if offset + size > len(data):
        raise _Malformed(f"{variable} reaches beyond the data file")
    content = data[offset : offset + size]
    if masked_crc32c(content) != _number(fields, 6):
        raise _Malformed(f"the checksum of {variable} is wrong")
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _shape(message: bytes, variable: str) -> tuple[int, ...]:
    """Read a TensorShapeProto: dim = 2 (repeated; size = 1), unknown_rank = 3."""
    shape = []
    for number, value in _fields(message):
        if number == 3 and value:
            raise _Malformed(f"{variable} has no known shape")
        if number == 2:
            shape.append(_number(dict(_fields(_message({2: value}, 2))), 1))
    if len(shape) > _MAX_DIMENSIONS or any(length >= 2**31 for length in shape):
        raise _Malformed(f"{variable} has the impossible shape {shape}")
    return tuple(shape)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a protobuf message: int for numbers, bytes for nested messages."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        value: int | bytes
        if wire == 0:
            value, position = _varint(message, position)
        elif wire == 5:
            (value,) = struct.unpack_from("<I", message, position)
            position += 4
        elif wire == 1:
            (value,) = struct.unpack_from("<Q", message, position)
            position += 8
        elif wire == 2:
            length, position = _varint(message, position)
            value = message[position : position + length]
            position += length
            if position > len(message):
                raise _Malformed("a message ends too early")
        else:
            raise _Malformed(f"a message has wire type {wire}, which is not supported")
        yield number, value


def _number(fields: Mapping[int, int | bytes], key: int) -> int:
    """Return a numeric field; protobuf leaves out zeros."""
    value = fields.get(key, 0)
    if not isinstance(value, int):
        raise _Malformed(f"field {key} of a message is not a number")
    return value


def _message(fields: Mapping[int, int | bytes], key: int) -> bytes:
    """Return a nested message; protobuf leaves out empty ones."""
    value = fields.get(key, b"")
    if not isinstance(value, bytes):
        raise _Malformed(f"field {key} of a message is not a message")
    return value


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Read an unsigned base-128 number of at most 64 bits; return (number, position after it)."""
    number = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise _Malformed("a number is longer than 64 bits")


# The checksum


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC32C = _crc32c_table()


def masked_crc32c(content: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of ``content``, rotated and shifted as LevelDB stores it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
