"""Files: ours open in PyTorch and PyTorch's open here, hostile ones are refused, a killed save loses
nothing."""

import collections
import contextlib
import io
import os
import pickle
import stat
import struct
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

import rushlight as rl
from rushlight import serialization

torch = pytest.importorskip("torch")

KINDS = [
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "bfloat16",
    "float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
    "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip


def dump(lib, obj, **options) -> bytes:
    file = io.BytesIO()
    lib.save(obj, file, **options)
    return file.getvalue()


def read(lib, data: bytes, **options):
    return lib.load(io.BytesIO(data), **options)


def bits(t) -> bytes:
    """The bytes of a tensor of either library, in the order of its indices."""
    if isinstance(t, rl.Tensor):
        return t._array.tobytes()
    return t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""


def contents(lib, kind, seed=0):
    """Tensors of one type, made of the same bytes in both libraries."""
    width = getattr(torch, kind).itemsize
    raw = np.random.default_rng(seed).integers(0, 2 if kind == "bool" else 100, 24 * width).astype(np.uint8)
    flat = lib.from_numpy(raw).view(getattr(lib, kind))
    x = flat.reshape(2, 3, 4)
    return {
        "whole": x, "flat": flat, "row": x[1], "turned": x.transpose(0, 2), "some": flat[5:9], "one": flat[3],
        "strided": x[:, ::2], "empty": x[:0], "spread": flat[:1].expand(5), "copy": x.clone(),
    }  # fmt: skip


def same(ours, theirs):
    assert str(ours.dtype) == str(theirs.dtype)
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.stride() == theirs.stride()
    assert bits(ours) == bits(theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_ours_in_torch(kind):
    theirs = read(torch, dump(rl, contents(rl, kind)))
    expected = contents(torch, kind)
    for name, value in expected.items():
        same(theirs[name], value)
        if value.numel():
            shares = value.untyped_storage().data_ptr() == expected["flat"].untyped_storage().data_ptr()
            found = theirs[name].untyped_storage().data_ptr() == theirs["flat"].untyped_storage().data_ptr()
            assert shares == found, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zipped", [True, False])
def test_theirs_here(kind, zipped):
    expected = contents(torch, kind)
    if not zipped and (("uint" in kind and kind != "uint8") or "float8" in kind):
        pytest.skip("the old format does not know the type")
    found = read(rl, dump(torch, expected, _use_new_zipfile_serialization=zipped))
    for name, value in expected.items():
        same(found[name], value)
        if value.numel():
            shares = value.untyped_storage().data_ptr() == expected["flat"].untyped_storage().data_ptr()
            assert np.shares_memory(found[name]._array, found["flat"]._array) == shares, name


@pytest.mark.parametrize("kind", KINDS)
def test_ours_here(kind):
    expected = contents(rl, kind)
    found = read(rl, dump(rl, expected))
    for name, value in expected.items():
        same(found[name], value)


def plain(lib):
    """All kinds of things that a checkpoint holds beside plain tensors."""
    state = collections.OrderedDict(w=lib.ones(2, 3), b=lib.zeros(3))
    state._metadata = collections.OrderedDict(version=1)
    parameter = lib.nn.Parameter(lib.arange(3.0))
    return {
        "state": state,
        "parameter": parameter,
        "frozen": lib.nn.Parameter(lib.ones(1), requires_grad=False),
        "again": [parameter, parameter],
        "leaf": lib.ones(2, requires_grad=True),
        "result": lib.ones(2, requires_grad=True) * 2,
        "size": lib.Size([2, 3]),
        "dtype": lib.bfloat16,
        "device": lib.device("cpu"),
        "cuda": lib.device("cuda", 1),
        "layout": lib.strided,
        "numbers": [
            0,
            1,
            -1,
            255,
            256,
            65536,
            2**31,
            -(2**31),
            2**40,
            2**70,
            -(2**70),
            1.5,
            float("inf"),
            1 + 2j,
        ],
        "others": [
            None,
            True,
            False,
            "text",
            "ünï",
            b"bytes",
            bytearray(b"array"),
            (),
            (1,),
            (1, 2),
            (1, 2, 3, 4),
        ],
        "set": {1, "a"},
        "counter": collections.Counter("hello"),
        "nested": {"a": [{"b": (1, [2, {"c": 3}])}]},
        3: "int key",
        (1, "x"): "tuple key",
    }


def compare_plain(found, expected):
    assert list(found) == list(expected)
    for name in ("numbers", "others", "set", "counter", "nested", 3, (1, "x")):
        assert found[name] == expected[name]
        assert type(found[name]) is type(expected[name])
    for name in ("size", "dtype", "device", "cuda", "layout"):
        assert repr(found[name]) == repr(expected[name])
    for name in ("parameter", "frozen", "leaf", "result"):
        assert found[name].requires_grad == expected[name].requires_grad
        assert type(found[name]).__name__ == type(expected[name]).__name__
        assert found[name].tolist() == expected[name].tolist()
    assert found["again"][0] is found["again"][1] is found["parameter"]
    assert found["state"]._metadata == {"version": 1}
    assert type(found["state"]) is collections.OrderedDict


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_things(protocol, weights_only):
    ours, theirs = plain(rl), plain(torch)
    options = {"weights_only": weights_only}
    compare_plain(read(rl, dump(torch, theirs, pickle_protocol=protocol), **options), theirs)
    mine = dump(rl, ours, pickle_protocol=protocol)
    compare_plain(read(rl, mine, **options), ours)
    if protocol == 2 or not weights_only:  # PyTorch's own reader knows protocol 2
        compare_plain(read(torch, mine, **options), ours)
    compare_plain(
        read(
            rl, dump(torch, theirs, pickle_protocol=protocol, _use_new_zipfile_serialization=False), **options
        ),
        theirs,
    )


def test_attributes_and_subclasses():
    t = rl.ones(2)
    t.note = "mine"
    p = rl.nn.Parameter(rl.ones(2))
    p.sharded = True
    found = read(rl, dump(rl, [t, p]))
    assert found[0].note == "mine" and found[1].sharded is True
    theirs = read(torch, dump(rl, [t, p]))
    assert theirs[0].note == "mine" and theirs[1].sharded is True
    assert read(rl, dump(torch, theirs))[1].sharded is True


def test_channels_last():
    x = rl.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=rl.channels_last)
    theirs = read(torch, dump(rl, x))
    assert theirs.is_contiguous(memory_format=torch.channels_last)
    assert theirs.stride() == x.stride() and theirs.tolist() == x.tolist()
    back = read(rl, dump(torch, theirs))
    assert back.stride() == x.stride() and back.is_contiguous(memory_format=rl.channels_last)


def test_lazy_conjugate_and_negative():
    x = torch.tensor([1 + 2j, 3 - 1j])
    for lazy in (x.conj(), x.conj().imag):
        assert read(rl, dump(torch, lazy)).tolist() == lazy.tolist()


def test_layout_of_the_archive():
    data = dump(rl, {"a": rl.ones(3), "b": rl.ones(1000)})
    theirs = dump(torch, {"a": torch.ones(3), "b": torch.ones(1000)})
    ours = zipfile.ZipFile(io.BytesIO(data))
    names = set(zipfile.ZipFile(io.BytesIO(theirs)).namelist()) - {
        "archive/.format_version",
        "archive/.storage_alignment",
    }
    assert set(ours.namelist()) == names
    assert ours.testzip() is None
    for info in ours.infolist():
        extra = struct.unpack("<H", data[info.header_offset + 28 : info.header_offset + 30])[0]
        assert (info.header_offset + 30 + len(info.filename) + extra) % 64 == 0
    assert dump(rl, {"a": rl.ones(3)}) == dump(rl, {"a": rl.ones(3)})


def test_large_archives_use_zip64(monkeypatch):
    from rushlight._serialize import archive

    monkeypatch.setattr(archive, "_MAX32", 100)  # pretend that 32 bits end at 100
    file = io.BytesIO()
    writer = archive.ArchiveWriter(file, "archive")
    for i in range(3):
        writer.write(f"data/{i}", bytes([i]) * 200)
    writer.finish()
    reader = zipfile.ZipFile(file)
    # zipfile knows the real limit, so it sees the small stand-ins where we wrote the real sizes beside them
    assert reader.namelist()[:3] == [f"archive/data/{i}" for i in range(3)]


def test_paths_and_mmap(tmp_path):
    path = tmp_path / "model.v1.pt"
    x = rl.arange(1000.0)
    rl.save({"x": x, "y": x[10:]}, path)
    assert zipfile.ZipFile(path).namelist()[0] == "model.v1/data.pkl"
    for mmap in (False, True):
        for lib in (rl, torch):
            found = lib.load(str(path), mmap=mmap)
            assert found["y"].tolist() == x[10:].tolist()
            found["x"][10] = -1  # writable, and not written through to the file
            assert found["y"][0].item() == -1
    assert rl.load(path)["x"][10].item() == 10


class Unseekable(io.RawIOBase):
    def __init__(self):
        self.parts = []

    def writable(self):
        return True

    def write(self, data):
        self.parts.append(bytes(data))
        return len(data)


def test_streams():
    stream = Unseekable()
    rl.save([rl.ones(3)], stream)
    assert read(torch, b"".join(stream.parts))[0].tolist() == [1, 1, 1]
    with open(os.devnull, "wb") as file:
        rl.save(rl.ones(2), file)
    rl.save(rl.ones(2), os.devnull)


# -- whole modules and other classes -----------------------------------------------------------------


def test_modules_need_trust():
    net = rl.nn.Sequential(rl.nn.Linear(2, 3), rl.nn.ReLU())
    data = dump(rl, net)
    with pytest.raises(pickle.UnpicklingError, match=r"GLOBAL torch\.nn\S* was not an allowed global"):
        read(rl, data)
    found = read(rl, data, weights_only=False)
    assert type(found) is rl.nn.Sequential
    assert found[0].weight.tolist() == net[0].weight.tolist()
    assert repr(found) == repr(net)
    theirs = read(torch, data, weights_only=False)
    assert type(theirs) is torch.nn.Sequential and theirs[0].weight.tolist() == net[0].weight.tolist()
    x = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)
    np.testing.assert_allclose(
        found(rl.from_numpy(x)).detach(), theirs(torch.from_numpy(x)).detach(), rtol=1e-6
    )


def test_their_modules_here():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )
    found = read(rl, dump(torch, net), weights_only=False)
    x = np.random.default_rng(0).standard_normal((4, 1, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(
        found(rl.from_numpy(x)).detach(), net(torch.from_numpy(x)).detach(), rtol=1e-4, atol=1e-5
    )


class Mine:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Mine) and self.value == other.value


def test_classes_declared_safe():
    data = dump(rl, Mine([1, rl.ones(1)]))
    with pytest.raises(pickle.UnpicklingError, match=r"add_safe_globals\(\[.*Mine\]\)"):
        read(rl, data)
    with serialization.safe_globals([Mine]):
        assert serialization.get_safe_globals() == [Mine]
        assert read(rl, data).value[1].item() == 1
    assert serialization.get_safe_globals() == []
    serialization.add_safe_globals([(Mine, "other.Name")])
    with pytest.raises(pickle.UnpicklingError):
        read(rl, data)
    serialization.clear_safe_globals()


def test_modules_declared_safe():
    data = dump(torch, torch.nn.ReLU())
    with serialization.safe_globals([rl.nn.ReLU, set]):
        assert isinstance(read(rl, data), rl.nn.ReLU)


@pytest.mark.parametrize("value", [np.float64(1.5), np.int32(3), np.arange(3), np.array(["a", "b"])])
def test_numpy(value):
    for lib in (rl, torch):
        data = dump(lib, {"value": value})
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            read(rl, data)
        found = read(rl, data, weights_only=False)["value"]
        assert np.array_equal(found, value) and found.dtype == value.dtype


# -- map_location ------------------------------------------------------------------------------------


def from_gpu() -> bytes:
    """A file of tensors that were saved from a GPU."""
    source = zipfile.ZipFile(io.BytesIO(dump(torch, [torch.ones(2)])))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            target.writestr(
                name, source.read(name).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            )
    return file.getvalue()


def test_map_location():
    data = from_gpu()
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        read(rl, data)
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        read(rl, dump(rl, rl.ones(1)), map_location="cuda")
    seen = []
    for place in (
        "cpu",
        b"cpu",
        rl.device("cpu"),
        {"cuda:0": "cpu"},
        lambda s, where: seen.append(where) or s,
    ):
        assert read(rl, data, map_location=place)[0].tolist() == [1, 1]
    assert seen == ["cuda:0"]
    with pytest.raises(RuntimeError, match="CUDA device"):
        read(rl, data, map_location=lambda storage, where: None)
    with pytest.raises(TypeError, match="map_location"):
        read(rl, data, map_location=3)


def test_storages():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's are deprecated
        for writer in (rl, torch):
            x = writer.arange(6, dtype=writer.float32)
            data = dump(writer, {"typed": x.storage(), "x": x[2:], "bytes": writer.ones(2).untyped_storage()})
            for reader in (rl, torch):
                made = read(reader, data, weights_only=False)
                assert type(made["typed"]) is reader.TypedStorage and made["typed"].tolist() == [*range(6)]
                assert made["bytes"].tolist() == [0, 0, 128, 63] * 2
                made["x"].zero_()
                assert made["typed"].tolist() == [0, 1, 0, 0, 0, 0]
    places = []
    read(
        rl, dump(rl, rl.ones(1)), map_location=lambda storage, where: places.append((storage.tolist(), where))
    )
    assert places == [([0, 0, 128, 63], "cpu")]


# -- damaged and hostile files -----------------------------------------------------------------------


def repack(data: bytes, replace=None, drop=(), compression=zipfile.ZIP_STORED) -> bytes:
    source = zipfile.ZipFile(io.BytesIO(data))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name in source.namelist():
            record = name.partition("/")[2]
            if record not in drop:
                target.writestr(name, (replace or {}).get(record, source.read(name)))
    return file.getvalue()


GOOD = {"x": np.arange(5, dtype=np.float32)}


def good() -> bytes:
    return dump(rl, {"x": rl.from_numpy(GOOD["x"])})


def test_missing_and_wrong_arguments(tmp_path):
    with pytest.raises(FileNotFoundError):
        rl.load(tmp_path / "nothing.pt")
    with pytest.raises(IsADirectoryError):
        rl.load(tmp_path)
    with pytest.raises(RuntimeError, match=r"Parent directory .* does not exist"):
        rl.save(1, tmp_path / "no" / "x.pt")
    with pytest.raises(RuntimeError, match="directory"):
        rl.save(1, tmp_path)
    with pytest.raises(AttributeError, match="expected 'f' to be string, path"):
        rl.save(1, 3)
    with pytest.raises(AttributeError, match="seek"):
        rl.load(3)
    with pytest.raises(ValueError, match="mmap"):
        rl.load(io.BytesIO(good()), mmap=True)
    with pytest.raises(RuntimeError, match="explicit pickle_module"):
        rl.load(io.BytesIO(good()), pickle_module=pickle, weights_only=True)
    with pytest.raises(NotImplementedError):
        rl.save(1, io.BytesIO(), _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="different types"):
        x = rl.ones(2, dtype=rl.complex64)
        rl.save([x, rl.from_numpy(x.numpy().view(np.float32))], io.BytesIO())


def test_damaged():
    data = good()
    assert read(rl, repack(data))["x"].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(EOFError):
        read(rl, b"")
    for junk in (b"hello world", b"\x00" * 100, b"\x80\x02}q\x00.junk", pickle.dumps({"a": 1})):
        with pytest.raises((pickle.UnpicklingError, EOFError, RuntimeError)):
            read(rl, junk)
    for size in (5, 100, len(data) // 2, len(data) - 30, len(data) - 1):
        with pytest.raises(RuntimeError, match="PytorchStreamReader failed"):
            read(rl, data[:size])
    place = data.index(GOOD["x"].tobytes())
    with pytest.raises(RuntimeError, match=r"failed reading file data/0: its checksum"):
        read(rl, data[:place] + b"\xff" + data[place + 1 :])
    for record in ("data.pkl", "data/0"):
        with pytest.raises(RuntimeError, match=f"failed locating file {record}: file not found"):
            read(rl, repack(data, drop=[record]))
    with pytest.raises(RuntimeError, match="compressed"):
        read(rl, repack(data, compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(
        RuntimeError, match=r"record size \(8 bytes\) does not match expected size \(20 bytes"
    ):
        read(rl, repack(data, {"data/0": b"12345678"}))
    with pytest.raises(ValueError, match="endianness"):
        read(rl, repack(data, {"byteorder": b"middle"}))
    with pytest.raises(RuntimeError, match="TorchScript"):
        read(rl, with_record(data, "constants.pkl"))


def with_record(data: bytes, record: str) -> bytes:
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as target:
        target.writestr(f"archive/{record}", b"x")
    return file.getvalue()


def test_big_endian():
    for kind in ("float32", "int16", "complex64", "bfloat16", "uint8"):
        t = rl.arange(5).to(getattr(rl, kind))
        swapped = (
            t._array.view(f"u{t._array.itemsize // (2 if kind == 'complex64' else 1)}").byteswap().tobytes()
        )
        data = repack(dump(rl, t), {"data/0": swapped, "byteorder": b"big"})
        assert read(rl, data).tolist() == t.tolist()


def test_random_damage():
    """Whatever happens to a file's bytes, `load` gives an object or one of its own errors."""
    rng = np.random.default_rng(0)
    for data in (
        good(),
        dump(torch, plain(torch)),
        dump(torch, torch.ones(3), _use_new_zipfile_serialization=False),
    ):
        for _ in range(150):
            damaged = bytearray(data)
            for _ in range(rng.integers(1, 6)):
                damaged[rng.integers(len(damaged))] = rng.integers(256)
            if rng.random() < 0.2:
                del damaged[rng.integers(len(damaged)) :]
            with contextlib.suppress(pickle.UnpicklingError, RuntimeError, EOFError, ValueError):
                read(rl, bytes(damaged))


def record(*operations) -> bytes:
    """A file whose pickle consists of these pieces, between the opening and the stop."""
    return repack(good(), {"data.pkl": b"\x80\x02" + b"".join(operations) + b"."})


def name(module: str, what: str) -> bytes:
    return f"c{module}\n{what}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def tuple_of(*parts) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def storage(count=5, kind="FloatStorage", key="0") -> bytes:
    return tuple_of(text("storage"), name("torch", kind), text(key), text("cpu"), number(count)) + b"Q"


def tensor(offset=0, size=(5,), stride=(1,), **options) -> bytes:
    shape = tuple_of(*map(number, size))
    steps = tuple_of(*map(number, stride))
    hooks = name("collections", "OrderedDict") + b")R"
    args = tuple_of(storage(**options), number(offset), shape, steps, b"\x89", hooks)
    return name("torch._utils", "_rebuild_tensor_v2") + args + b"R"


def test_built_by_hand():
    assert read(rl, record(tensor())).tolist() == [0, 1, 2, 3, 4]
    assert read(rl, record(tensor(1, (2, 2), (1, 2)))).tolist() == [[1, 3], [2, 4]]
    assert read(rl, record(tensor(4, (10**9, 10**6), (0, 0)))).shape == (10**9, 10**6)  # costs nothing
    assert read(rl, record(tensor(0, (0, 10**12), (1, 1)))).shape == (0, 10**12)


BAD_TENSORS = {
    "beyond the end": {"size": (6,)},
    "offset beyond": {"offset": 3},
    "offset negative": {"offset": -1},
    "stride too long": {"size": (2, 3), "stride": (4, 1)},
    "stride negative": {"stride": (-1,)},
    "size negative": {"size": (-5,)},
    "more strides": {"stride": (1, 1)},
    "huge": {"size": (2**40,), "stride": (2**40,)},
    "overflow": {"size": (2**62, 2**62), "stride": (0, 0)},
    "very huge": {"size": (2**90,), "stride": (1,)},
    "many dimensions": {"size": (1,) * 100, "stride": (1,) * 100},
    "huge storage": {"count": 2**60},
    "negative storage": {"count": -5},
    "other type": {"kind": "DoubleStorage"},
    "no record": {"key": "../../etc/passwd"},
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_tensors_beyond_their_storage(case):
    with pytest.raises(RuntimeError):
        read(rl, record(tensor(**BAD_TENSORS[case])))


BAD_PICKLES = {
    "os.system": lambda: record(name("os", "system"), tuple_of(text("touch hacked")), b"R"),
    "posix.system": lambda: record(name("posix", "system"), tuple_of(text("touch hacked")), b"R"),
    "eval": lambda: record(name("builtins", "eval"), tuple_of(text("open('hacked', 'w')")), b"R"),
    "getattr": lambda: record(name("builtins", "getattr"), tuple_of(b"]", text("append")), b"R"),
    "old builtin": lambda: record(name("__builtin__", "exec"), tuple_of(text("1")), b"R"),
    "submodule": lambda: record(
        name("torch.serialization", "os.system"), tuple_of(text("touch hacked")), b"R"
    ),
    "our functions": lambda: record(name("torch", "save"), tuple_of(number(1), text("hacked")), b"R"),
    "call of data": lambda: record(text("a"), tuple_of(), b"R"),
    "call of a list": lambda: record(b"]", tuple_of(), b"R"),
    "call of Tensor": lambda: record(name("torch", "Tensor"), tuple_of(number(2**40)), b"R"),
    "new Tensor": lambda: record(name("torch", "Tensor"), tuple_of(number(2**40)), b"\x81"),
    "bytearray": lambda: record(name("builtins", "bytearray"), tuple_of(number(2**45)), b"R"),
    "attributes of a class": lambda: record(name("torch", "Tensor"), b"}", text("shape"), number(1), b"sb"),
    "attributes of a function": lambda: record(
        name("torch._utils", "_rebuild_tensor_v2"), b"}", text("x"), b"Nsb"
    ),
    "item of a list": lambda: record(b"]", number(0), number(1), b"s"),
    "append to a dict": lambda: record(b"}", number(0), b"a"),
    "unhashable key": lambda: record(b"}", b"]", number(1), b"s"),
    "deep key": lambda: record(b"}", b")" + b"\x85" * 100_000, number(1), b"s"),
    "deep key in a set": lambda: record(name("builtins", "set"), b"]" + b")" + b"\x85" * 100_000 + b"a\x85R"),
    "stack underflow": lambda: record(b"R"),
    "missing mark": lambda: record(b"t"),
    "missing memo": lambda: record(b"h\x05"),
    "unknown code": lambda: record(b"\xff"),
    "extension code": lambda: record(b"\x82\x01"),
    "instance code": lambda: record(b"(ios\nsystem\n"),
    "persistent text": lambda: record(b"Pstorage\n"),
    "strange storage": lambda: record(
        tuple_of(text("storage"), number(1), text("0"), text("cpu"), number(5)) + b"Q"
    ),
    "not a storage": lambda: record(tuple_of(text("module"), number(1)) + b"Q"),
    "storage of nothing": lambda: record(b")Q"),
    "text too long": lambda: record(b"X\xff\xff\xff\xff"),
    "bad text": lambda: record(b"X\x02\x00\x00\x00\xff\xff"),
    "from type": lambda: record(
        name("torch._tensor", "_rebuild_from_type_v2"),
        tuple_of(name("collections", "OrderedDict"), name("torch", "Tensor"), b")", b"}"),
        b"R",
    ),
    "parameter of text": lambda: record(
        name("torch._utils", "_rebuild_parameter"), tuple_of(text("a"), b"\x88", b"N"), b"R"
    ),
    "endless": lambda: record(b"]" * 10)[:-1],
}


@pytest.mark.parametrize("case", BAD_PICKLES)
def test_hostile_pickles(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((pickle.UnpicklingError, RuntimeError, EOFError)) as caught:
        read(rl, BAD_PICKLES[case]())
    assert len(str(caught.value)) < 3000
    assert not os.listdir(tmp_path)


def test_deep_data_is_no_danger():
    data = read(rl, record(b")" + b"\x85" * 100_000))
    assert isinstance(data, tuple)


def test_overlapping_records():
    """A small file whose directory names the same megabyte a thousand times does not cost a gigabyte."""
    from rushlight._serialize.archive import ArchiveReader, ArchiveWriter

    file = io.BytesIO()
    writer = ArchiveWriter(file, "archive")
    writer.write("data/0", bytes(1 << 20))
    writer._entries *= 1000
    writer.finish()
    reader = ArchiveReader(io.BytesIO(file.getvalue()))
    with pytest.raises(RuntimeError, match="overlap"):
        for _ in range(1000):
            reader.array("data/0")


# -- saving that fails -------------------------------------------------------------------------------


class Unpicklable:
    def __reduce__(self):
        raise ValueError("no")


def test_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.pt"
    rl.save({"epoch": 1}, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="no"):
        rl.save({"epoch": Unpicklable()}, path)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        rl.save({"epoch": 2}, path)
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        rl.save({"epoch": 2}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.pt"]


def test_replacing_keeps_permissions_and_links(tmp_path):
    real, link = tmp_path / "real.pt", tmp_path / "link.pt"
    rl.save(1, real)
    assert stat.S_IMODE(real.stat().st_mode) == 0o666 & ~current_umask()
    real.chmod(0o640)
    link.symlink_to(real)
    rl.save(2, link)
    assert link.is_symlink() and rl.load(real) == 2
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_killed_while_saving(tmp_path):
    """A process killed while it saves over and over leaves a file that opens."""
    path = tmp_path / "x.pt"
    program = (
        "import sys, rushlight as rl\n"
        "i = 0\n"
        "while True:\n"
        "    rl.save({'i': i, 'w': rl.full((200_000,), float(i))}, sys.argv[1])\n"
        "    print(i, flush=True)\n"
        "    i += 1\n"
    )
    for pause in (0.0, 0.005, 0.02):
        process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
        process.kill()
        process.communicate()
        found = rl.load(path)
        assert found["w"].tolist()[:1] == [float(found["i"])]
        assert (found["w"] == found["i"]).all()


LAYERS = {
    "net": lambda nn: nn.Sequential(
        nn.Conv1d(4, 2, 1), nn.BatchNorm1d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
    ),
    "attention": lambda nn: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
    "group norm": lambda nn: nn.GroupNorm(2, 4),
    "pool": lambda nn: nn.MaxPool1d(2),
    "upsample": lambda nn: nn.Upsample(scale_factor=2),
    "transposed": lambda nn: nn.ConvTranspose1d(4, 2, 1),
    "activations": lambda nn: nn.Sequential(nn.GELU(), nn.PReLU(), nn.Softmax(-1), nn.Hardtanh()),
    "pad": lambda nn: nn.Sequential(nn.ReflectionPad1d(1), nn.Unflatten(1, (2, 2))),
    "named": lambda nn: nn.Sequential(nn.ModuleDict({"a": nn.LayerNorm(4)})["a"], nn.InstanceNorm1d(4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_pytorch_reads_whole_modules(name):
    ours = LAYERS[name](rl.nn).eval()
    file = io.BytesIO()
    rl.save(ours, file)
    file.seek(0)
    theirs = torch.load(file, weights_only=False)
    assert repr(theirs) == repr(ours)
    x = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(
        theirs(torch.from_numpy(x)).detach().numpy(), ours(rl.from_numpy(x)).detach().numpy(), atol=1e-5
    )
