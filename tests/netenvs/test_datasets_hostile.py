"""Archives and pickles made to hurt: each is one line, at once, and takes no memory to speak of."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from netenvs import datasets
from netenvs.arrays import check_sizes, named_arrays
from netenvs.datasets import entries, restricted_pickle, sources, tensorbundle
from netenvs.datasets.__main__ import main
from netenvs.datasets.arrays import read_npz
from netenvs.datasets.errors import DatasetError
from netenvs.datasets.torch_state import read_state_dict

MOST_BYTES = 96 * 2**20
"""Memory that reading anything of here may take at its height."""
HUGE = 10**12


@pytest.fixture(autouse=True)
def little_memory():
    """What Python and numpy reserve, whether they use it or not."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_BYTES


# --- pickles ---


def pickled(*opcodes):
    return b"\x80\x04" + b"".join(opcodes) + b"."


def array_of(shape, content, dtype="f8"):
    """An array as numpy pickles it, of whatever shape and content."""
    made = pickle.dumps(np.zeros(1, dtype), 2)
    head, _, tail = made.partition(b"K\x01K\x01\x85")  # version 1, shape (1,)
    middle = tail.rpartition(b"tb\x89")[0]
    return head + b"K\x01" + pickle.dumps(shape, 2)[2:-1] + middle + b"tb\x89" + pickle.dumps(content, 2)[2:-1] + b"tb."


PICKLES = {
    "byte array of 2^40": pickled(b"\x96" + struct.pack("<Q", 2**40)),
    "bytes of 2^40": pickled(b"\x8e" + struct.pack("<Q", 2**40)),
    "text of 2^40": pickled(b"\x8d" + struct.pack("<Q", 2**40)),
    "frame of 2^62": pickled(b"\x95" + struct.pack("<Q", 2**62)),
    "array of 10^12": array_of((HUGE,), b"12345678"),
    "array of 10^6 x 10^6": array_of((10**6, 10**6), b""),
    "array of 2^200": array_of((2**100, 2**100), b""),
    "array of -1": array_of((-1,), b"12345678"),
    "objects, 10^12": array_of((HUGE,), [None], "O"),
    "empty texts, 10^12": array_of((HUGE,), b"", "U1"),
    "nested": b"\x80\x02" + b"]" * 10**5,
}


@pytest.mark.parametrize("content", PICKLES.values(), ids=PICKLES)
def test_pickles_of_arrays(content):
    with pytest.raises(DatasetError, match=r"p\.pkl: refused") as caught:
        restricted_pickle.loads(content, "p.pkl")
    assert len(str(caught.value)) < 500


def test_a_memo_is_as_large_as_what_is_in_it():
    """Pickle's own unpickler in C keeps it as an array."""
    assert restricted_pickle.loads(pickled(b"N", b"r\xff\xff\xff\xff"), "p.pkl") is None


def state_dict(pickle_bytes, storages=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", pickle_bytes)
        for key, content in (storages or {}).items():
            archive.writestr(f"m/data/{key}", content)
    return buffer.getvalue()


def text(name):
    return b"X" + struct.pack("<I", len(name)) + name.encode()


def storage(key, length):
    return b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(length) + b"tQ"


def number(value):
    return pickle.dumps(value, 2)[2:-1]


def tensor(key, length, size, stride, offset=0):
    call = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return call + storage(key, length) + number(offset) + number(size) + number(stride) + b"\x89NtR"


def tensors(*named):
    return b"\x80\x02}(" + b"".join(text(name) + made for name, made in named) + b"u."


ONE = {"0": bytes(400)}
STATES = {
    "stride 0": (tensors(("a", tensor("0", 100, (HUGE,), (0,)))), ONE),
    "stride 0 in one axis": (tensors(("a", tensor("0", 100, (HUGE, 10), (0, 1)))), ONE),
    "many of one storage": (
        tensors(*((f"t{i}", tensor("0", 2**20, (2**20,), (1,))) for i in range(1000))),
        {"0": bytes(2**22)},
    ),
    "many storages": (
        tensors(*((f"t{i}", tensor(f"s{i}", 2**20, (0,), (1,))) for i in range(100))),
        {f"s{i}": bytes(2**22) for i in range(100)},
    ),
    "a storage of another length": (tensors(("a", tensor("0", HUGE, (1,), (1,)))), ONE),
    "an unbounded data.pkl": (b"\x80\x02" + b"N0" * 2**23 + b"}.", {}),
    "memo": (pickled(b"}", b"r\xff\xff\xff\xff0N"), {}),
    "byte array": (pickled(b"\x96" + struct.pack("<Q", 2**40)), {}),
    "state of a tensor": (tensors(("a", tensor("0", 100, (1,), (1,)) + b"(K\x01(KctNNtb")), ONE),
    "a name of 10^5": (tensors(("n" * 10**5, tensor("0", 100, (1,), (1,)))), ONE),
    "a path as key": (tensors(("a", tensor("../data.pkl", 100, (1,), (1,)))), ONE),
    "no text as key": (b"\x80\x02}(" + text("a") + storage("0", 100).replace(text("0"), b"]") + b"u.", ONE),
    "nested": (b"\x80\x02" + b"(" * 10**5, {}),
}


@pytest.mark.parametrize(("content", "storages"), STATES.values(), ids=STATES)
def test_state_dicts(content, storages):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_state_dict(state_dict(content, storages))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_tensors_may_share_a_storage():
    content = tensors(("a", tensor("0", 100, (100,), (1,))), ("b", tensor("0", 100, (10, 10), (1, 10))))
    assert {name: array.shape for name, array in read_state_dict(state_dict(content, ONE)).items()} == {
        "a": (100,),
        "b": (10, 10),
    }


# --- files of named arrays ---


def npz(header_shape, content=b"12345678", dtype="<f8", name="a.npy"):
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"shape": header_shape, "fortran_order": False, "descr": dtype})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, array.getvalue() + content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content", [npz((HUGE,)), npz((2**40, 2**40)), npz((10,), dtype="<U100000000"), npz((HUGE,), b"", "|V0")]
)
def test_arrays_larger_than_their_file(content, tmp_path):
    (tmp_path / "a.npz").write_bytes(content)
    with (
        pytest.raises(ValueError, match=r"array a\.npy announces \d+ bytes, it has"),
        named_arrays(tmp_path / "a.npz") as arrays,
    ):
        pytest.fail(str(arrays["a"].shape))
    with pytest.raises(DatasetError, match="not a readable npz"):
        read_npz(content, "w.npz", lambda key: True)


def test_arrays_that_swell():
    with pytest.raises(ValueError, match="unpacks to more than 1 MiB"):
        check_sizes(io.BytesIO(npz((2**18,), bytes(2**21))), 2**20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_devices_are_no_files_of_arrays():
    with pytest.raises(ValueError, match="it is a device"), named_arrays("/dev/zero"):
        pytest.fail("read")


# --- checkpoints of TensorFlow ---


def test_one_block_of_many_handles():
    block = entry(b"", b"\x08\x01") + struct.pack("<II", 0, 1)
    stored = block + b"\0" + struct.pack("<I", tensorbundle.masked_crc32c(block + b"\0"))
    handle = bytes([0, len(block)])
    listing = b"".join(entry(b"k%06d" % i, handle) for i in range(1000)) + struct.pack("<II", 0, 1)
    index = stored + listing + b"\0" + struct.pack("<I", tensorbundle.masked_crc32c(listing + b"\0"))
    footer = bytes([0, 0]) + varint(len(stored)) + varint(len(listing))
    index += footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    with pytest.raises(DatasetError, match="its blocks overlap"):
        tensorbundle.read(index, b"", "m.ckpt", ["a"])


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def entry(key, value):
    return b"\0" + varint(len(key)) + varint(len(value)) + key + value


def test_a_name_that_grows():
    block = entry(b"k" * 2000, b"") + struct.pack("<II", 0, 1)
    with pytest.raises(tensorbundle._Malformed, match="a name is too long"):
        list(tensorbundle._entries(block))


# --- archives ---


def member(name=b"a", size=0, kind=b"0"):
    header = bytearray(512)
    header[: len(name[:100])] = name[:100]
    header[100:108], header[108:116], header[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    header[124:136] = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    header[136:148], header[148:156], header[156:157] = b"00000000000\0", b" " * 8, kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax(record, of=b"x"):
    padded = record.ljust(-(-len(record) // 512) * 512, b"\0")
    return member(b"pax", len(record), of) + padded


def record(key, value):
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


END = bytes(1024)
BOMBS = {
    "GNU long name of 64 GiB": member(b"././@LongLink", 2**36, b"L") + bytes(2**20),
    "GNU long link of 64 GiB": member(b"././@LongLink", 2**36, b"K") + bytes(2**20),
    "pax header of 64 GiB": member(b"pax", 2**36, b"x") + bytes(2**20),
    "global pax header of 64 GiB": member(b"pax", 2**36, b"g") + bytes(2**20),
    "long names by the thousand": b"".join(
        pax(record(b"path", b"n" * 60_000 + b"%d" % i)) + member() for i in range(300)
    )
    + END,
    "comments by the thousand": b"".join(
        pax(record(b"comment", b"c" * 60_000)) + member(b"f%d" % i) for i in range(2000)
    )
    + END,
    "a chain of long names": member(b"././@LongLink", 1, b"L") * 5000,
    "a negative size": pax(record(b"size", b"-1000000000000")) + member() + END,
    "a size of no number": pax(record(b"size", b"ten")) + member() + END,
    "a size of a thousand digits": pax(record(b"size", b"9" * 1000)) + member() + END,
    "100 GB of zeros announced": member(b"other", 100 * 10**9) + bytes(2**20),
    "sparse": pax(record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0")) + member(b"s", 512) + END,
    "a path that is no UTF-8": member(b"caf\xe9/\x1b[31m") + END,
    "a time of infinity": pax(record(b"mtime", b"1e999")) + member() + END,
}
COMPRESSED = {
    "gzip cut": gzip.compress(bytes(10**5))[:50],
    "gzip of a wrong checksum": gzip.compress(bytes(10**5))[:-8] + bytes(8),
    "gzip that breaks off": gzip.compress(os.urandom(10**4))[:200] + b"\xff" * 500,
    "xz cut": lzma.compress(bytes(10**5))[:40],
    "xz of a 4 GiB dictionary": b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\x02\0!\x01\x28" + bytes(100),
    "bzip2 cut": bz2.compress(bytes(10**5))[:20],
    "bzip2 that breaks off": b"BZh9" + b"\xff" * 100,
    "zeros without an end": gzip.compress(member(b"other", 9 * 2**30) + bytes(10**7)),
    "a zip": b"PK\x03\x04" + bytes(100),
    "nothing": b"",
    "text": b"hello\n" * 200,
}


@pytest.mark.parametrize("content", [*BOMBS.values(), *COMPRESSED.values()], ids=[*BOMBS, *COMPRESSED])
@pytest.mark.parametrize("name", ["netllm-abr", "decima-weights"])
def test_archives(name, content, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "store"))
    (tmp_path / "given.tar").write_bytes(content)
    assert main(["install", name, "--from", str(tmp_path / "given.tar")]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1
    assert "given.tar" in said.err or "decima_weights.npz is not a readable npz" in said.err
    assert "get it again from " in said.err
    assert "\x1b" not in said.err and len(said.err) < 1000
    assert not datasets.installed(name) and [path.name for path in (tmp_path / "store").iterdir()] == [".lock"]


def test_files_are_compared_with_the_manifest_as_they_come(tmp_path, monkeypatch):
    """Not when all are in memory, each as large as it may be."""
    dataset = entries.CATALOGUE["netllm-abr"]
    read = []
    monkeypatch.setattr(sources, "_unaltered", lambda *given, own=sources._unaltered: read.append(1) or own(*given))
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        for name in sorted(dataset.digests()):
            info = tarfile.TarInfo(name)
            info.size = 4
            archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(DatasetError, match="is altered"):
        sources.read(dataset, tmp_path / "t.tar")
    assert len(read) == 1


# --- paths ---


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("n" * 300, "cannot be read (File name too long)"),
        ("a\0b", "cannot be a path"),
        ("caf\udce9", r"caf\udce9 does not exist"),
        ("[red]", "[red] does not exist"),
        ("\x1b[31mred", r"\x1b[31mred does not exist"),
        ("/dev/zero", "/dev/zero is a pipe or a device"),
        ("/dev/null/x", "cannot be read (Not a directory)"),
    ],
)
def test_paths(path, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    assert main(["install", "netllm-abr", "--from", path]) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and "\x1b" not in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipes(tmp_path, monkeypatch, capsys):
    """Who opens one waits for ever."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "store"))
    for place in ("pipe", "folder/netllm-abr.tar.xz", "tree/adaptive_bitrate_streaming/data/traces/test/fcc-test/x"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(tmp_path / place)
    assert main(["install", "netllm-abr", "--from", str(tmp_path / "pipe")]) == 1
    assert "pipe is a pipe or a device; give --from a folder or an archive" in capsys.readouterr().err
    assert main(["install", "netllm-abr", "--from", str(tmp_path / "folder")]) == 1
    assert "holds neither netllm-abr.tar.xz" in capsys.readouterr().err
    assert main(["install", "netllm-abr", "--from", str(tmp_path / "tree")]) == 1
    assert "fcc-test/x is not a file of data set 'netllm-abr'" in capsys.readouterr().err
