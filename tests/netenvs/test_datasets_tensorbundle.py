"""The checkpoint reader, against checkpoints written here by other means.

The writer below follows the format from the other side; dimensions and checksums come from TensorBoard's
copy of TensorFlow's messages and CRC, so no line of it is shared with the reader.
"""

import dataclasses
import struct

import numpy as np
import pytest
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DataType
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c as tensorboard_crc32c
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as tensorboard_masked_crc32c

from netenvs import datasets
from netenvs.datasets import entries, genet_weights, tensorbundle
from netenvs.datasets.arrays import array_digest
from netenvs.datasets.errors import DatasetError

DATA_TYPES = {"<f4": "DT_FLOAT", "<f8": "DT_DOUBLE", "<i4": "DT_INT32", "<i8": "DT_INT64", "|b1": "DT_BOOL"}


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number % 128 + 128])
        number //= 128
    return out + bytes([number])


def message(**fields):
    """Protobuf wire format: f1=5 is field 1 as a varint, bytes are nested, fixed32 comes as ("fixed", n)."""
    out = b""
    for key, value in fields.items():
        number = int(key[1:])
        if isinstance(value, bytes):
            out += varint(number * 8 + 2) + varint(len(value)) + value
        elif isinstance(value, tuple):
            out += varint(number * 8 + 5) + struct.pack("<I", value[1])
        elif value:
            out += varint(number * 8) + varint(value)
    return out


def block(entries, restart_every, compression=0):
    """A table block with prefix compression, its compression byte and checksum."""
    out, restarts, last = b"", [], b""
    for position, (key, value) in enumerate(entries):
        shared = 0
        if position % restart_every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    out += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts)) + bytes([compression])
    return out + struct.pack("<I", tensorboard_masked_crc32c(out))


def table(entries, per_block=4, restart_every=3, compression=0):
    """A whole .index file: data blocks, an empty metaindex block, the index block, the footer."""
    entries = sorted(entries.items())
    out, index = b"", []
    for start in range(0, len(entries), per_block):
        part = entries[start : start + per_block]
        data = block(part, restart_every, compression)
        index.append((part[-1][0], varint(len(out)) + varint(len(data) - 5)))
        out += data
    handles = b""
    for data in (block([], 1), block(index, 1)):
        handles += varint(len(out)) + varint(len(data) - 5)
        out += data
    return out + handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


HEADER = message(f1=1, f3=message(f1=1))


def entry(array, offset, **changes):
    raw = array.tobytes()
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in array.shape]).SerializeToString()
    fields = {
        "f1": DataType.Value(DATA_TYPES[array.dtype.str]),
        "f2": shape,
        "f4": offset,
        "f5": len(raw),
        "f6": ("fixed", tensorboard_masked_crc32c(raw)),
    }
    return message(**(fields | changes))


def write(arrays, header=HEADER, changes=None, **layout):
    """Return (index, data) of a checkpoint that holds ``arrays``; ``changes`` overrides fields of entries."""
    entries, data = {b"": header}, b""
    for name, array in sorted(arrays.items()):
        entries[name.encode()] = entry(array, len(data), **(changes or {}))
        data += array.tobytes()
    return table(entries, **layout), data


def arrays():
    rng = np.random.default_rng(5)
    return {
        **{f"actor/Conv1D_{i}/W": rng.normal(size=(4, 1, 6, 8)).astype("<f4") for i in range(5)},
        **{f"actor/FullyConnected_{i}/b": rng.normal(size=8).astype("<f4") for i in range(5)},
        "critic/W": rng.normal(size=(3, 0, 2)),
        "step": np.array(7, "<i8"),
        "flags": np.array([True, False]),
        "counts": np.arange(300, dtype="<i4"),
    }


@pytest.mark.parametrize(("per_block", "restart_every"), [(1, 1), (4, 3), (1000, 16)])
def test_reads_what_was_written(per_block, restart_every):
    wanted = arrays()
    index, data = write(wanted, per_block=per_block, restart_every=restart_every)
    back = tensorbundle.read(index, data, "m.ckpt", list(wanted))
    assert back.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(back[name], array, strict=True)
        assert back[name].flags.writeable


def test_only_the_named_variables_are_read():
    index, data = write(arrays())
    assert list(tensorbundle.read(index, data, "m.ckpt", {"step", "absent"})) == ["step"]


def test_a_variable_of_an_unsupported_type_matters_only_when_it_is_wanted():
    entries = {b"": HEADER, b"text": message(f1=7, f2=b""), b"step": entry(np.array(7, "<i8"), 0)}
    index, data = table(entries), np.array(7, "<i8").tobytes()
    assert tensorbundle.read(index, data, "m.ckpt", {"step"})["step"] == 7
    with pytest.raises(DatasetError, match="text has data type 7"):
        tensorbundle.read(index, data, "m.ckpt", {"text"})


def test_checksum_of_the_published_example():
    # RFC 3720, B.4: 32 bytes of zeros, of ones, ascending
    for content, crc in [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ]:
        rotated = crc >> 15 | (crc & 0x7FFF) << 17
        assert tensorboard_crc32c(content) == crc
        assert tensorbundle.masked_crc32c(content) == (rotated + 0xA282EAD8) % 2**32


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda a: write(a, compression=1), "compressed"),
        (lambda a: write(a, header=message(f1=2)), "2 shards"),
        (lambda a: write(a, header=message(f1=1, f2=1)), "big-endian"),
        (lambda a: write(a, changes={"f3": 1}), "lies in shard 1"),
        (lambda a: write(a, changes={"f7": b"\x0a\x00"}), "partitioned"),
        (lambda a: write(a, changes={"f4": 10**6}), "beyond the data file"),
        (lambda a: write(a, changes={"f5": 3}), "does not fit shape"),
        (lambda a: write(a, changes={"f2": message(f3=1)}), "no known shape"),
        (lambda a: write(a, changes={"f2": message(f2=message(f1=2**64 - 1))}), "impossible shape"),
        (lambda a: write(a, changes={"f5": b"12"}), "not a number"),
        (lambda a: (table({b"step": entry(a["step"], 0)}), a["step"].tobytes()), "header entry is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_supported_is_refused_with_the_reason(make, reason):
    index, data = make({"step": np.array(7, "<i8")})
    with pytest.raises(DatasetError, match=rf"^m\.ckpt is not a readable .*{reason}"):
        tensorbundle.read(index, data, "m.ckpt", {"step"})


def test_no_changed_byte_goes_unnoticed():
    """Each byte that is read is covered by a checksum, the magic number or the structure itself."""
    index, data = write({"a": np.arange(5, dtype="<f4"), "b": np.array([[1.5]])}, per_block=2)
    offset, size = index[-48], index[-47]  # the metaindex block, one byte each in a file this small
    unread = {*range(offset, offset + size + 5), len(index) - 48, len(index) - 47}
    unread |= set(range(len(index) - 44, len(index) - 8))  # filling of the footer, after two handles
    assert len(unread) < len(index) / 2
    for position in set(range(len(index))) - unread:
        damaged = index[:position] + bytes([index[position] ^ 0x55]) + index[position + 1 :]
        with pytest.raises(DatasetError):
            tensorbundle.read(damaged, data, "m.ckpt", ["a", "b"])
    for position in range(len(data)):
        damaged = data[:position] + bytes([data[position] ^ 0x01]) + data[position + 1 :]
        with pytest.raises(DatasetError, match="checksum"):
            tensorbundle.read(index, damaged, "m.ckpt", ["a", "b"])


@pytest.mark.parametrize("length", [0, 10, 47, 48, 100])
def test_a_cut_file_is_one_line(length):
    index, data = write(arrays())
    with pytest.raises(DatasetError) as caught:
        tensorbundle.read(index[:length], data, "m.ckpt", {"step"})
    assert "\n" not in str(caught.value)


@pytest.fixture
def upstream(tmp_path, monkeypatch):
    """A copy of the upstream folder with small checkpoints; returns (folder, arrays by installed key)."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "store"))
    rng = np.random.default_rng(1)
    kept = {}
    for model, checkpoint in genet_weights.CHECKPOINTS:
        actor = {f"actor/Conv1D{i}/W": rng.normal(size=(4, 1, 6, 3)).astype("<f4") for i in ("", "_1", "_2")}
        kept |= {f"{model}__{checkpoint}|{name}": array for name, array in actor.items()}
        others = {"critic/Conv1D/W": np.zeros(3, "<f4"), "Variable": np.array(0, "<f4")}
        folder = tmp_path / "clone" / "adaptive_bitrate_streaming/data/all_models" / model
        folder.mkdir(parents=True, exist_ok=True)
        index, data = write(actor | others)
        (folder / f"{checkpoint}.ckpt.index").write_bytes(index)
        (folder / f"{checkpoint}.ckpt.data-00000-of-00001").write_bytes(data)
        (folder / f"{checkpoint}.ckpt.meta").write_bytes(b"a graph, not read")
    manifest = {key: array_digest(array) for key, array in kept.items()}
    entry = dataclasses.replace(entries.CATALOGUE["genet-weights"], manifest=manifest)
    monkeypatch.setitem(entries.CATALOGUE, "genet-weights", entry)
    return tmp_path / "clone", kept


def test_genet_weights_from_checkpoints(upstream):
    clone, kept = upstream
    folder = datasets.install("genet-weights", clone)
    with np.load(folder / "genet_weights.npz", allow_pickle=False) as npz:
        assert sorted(npz.files) == sorted(kept)
        for key, array in kept.items():
            np.testing.assert_array_equal(npz[key], array, strict=True)


def test_checkpoints_and_npz_answer_to_one_manifest(upstream, tmp_path):
    clone, kept = upstream
    np.savez(tmp_path / "genet_weights.npz", **kept)
    first = datasets.install("genet-weights", tmp_path / "genet_weights.npz") / "genet_weights.npz"
    content = first.read_bytes()
    datasets.remove("genet-weights")
    datasets.install("genet-weights", clone)
    assert first.read_bytes() == content


def test_a_checkpoint_of_other_weights_is_refused(upstream):
    clone, _ = upstream
    index, data = write({f"actor/Conv1D{i}/W": np.ones((4, 1, 6, 3), "<f4") for i in ("", "_1", "_2")})
    prefix = clone / "adaptive_bitrate_streaming/data/all_models/udr_3/nn_model_ep_58000.ckpt"
    prefix.with_suffix(".ckpt.index").write_bytes(index)
    prefix.with_suffix(".ckpt.data-00000-of-00001").write_bytes(data)
    with pytest.raises(DatasetError, match=r"udr_3__nn_model_ep_58000\|actor/Conv1D.* is altered"):
        datasets.install("genet-weights", clone)


def test_a_missing_checkpoint_is_named(upstream):
    clone, _ = upstream
    (clone / "adaptive_bitrate_streaming/data/all_models/udr_2/nn_model_ep_52400.ckpt.index").unlink()
    with pytest.raises(DatasetError, match=r"udr_2/nn_model_ep_52400\.ckpt\.index is missing"):
        datasets.install("genet-weights", clone)
