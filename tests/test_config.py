"""Threads, limits of number types, devices and dtypes."""

import copy
import pickle

import pytest

import rushlight

torch = pytest.importorskip("torch")
FLOATS = ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"]
INTS = ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
ALL = ["bool", *INTS, *FLOATS, "complex64", "complex128"]


@pytest.mark.parametrize("name", FLOATS)
def test_finfo(name):
    ours, theirs = rushlight.finfo(getattr(rushlight, name)), torch.finfo(getattr(torch, name))
    for field in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "dtype"):
        assert getattr(ours, field) == getattr(theirs, field), field


@pytest.mark.parametrize("name", INTS)
def test_iinfo(name):
    ours, theirs = rushlight.iinfo(getattr(rushlight, name)), torch.iinfo(getattr(torch, name))
    assert (ours.bits, ours.min, ours.max) == (theirs.bits, theirs.min, theirs.max)


def test_info_of_the_wrong_kind():
    for lib in (rushlight, torch):
        with pytest.raises(TypeError, match="iinfo"):
            lib.finfo(lib.int32)
        with pytest.raises(TypeError, match="finfo"):
            lib.iinfo(lib.float32)


def outcome(call):
    try:
        return str(call())
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("first", ALL)
def test_promotion(first):
    for second in ALL:
        ours, theirs = (
            outcome(
                lambda lib=lib, second=second: lib.promote_types(getattr(lib, first), getattr(lib, second))
            )
            for lib in (rushlight, torch)
        )
        assert ours == theirs, second


@pytest.mark.parametrize("first", ALL)
def test_can_cast(first):
    for second in ALL:
        ours = rushlight.can_cast(getattr(rushlight, first), getattr(rushlight, second))
        assert ours == torch.can_cast(getattr(torch, first), getattr(torch, second)), second


@pytest.mark.parametrize(
    "name", ["bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64"]
)
@pytest.mark.parametrize("shape", [(), (2,)])
def test_result_type(name, shape):
    for other in (True, 2, 1.5, 1j, "bool", "int16", "float16", "bfloat16", "float64", "complex128"):
        for other_shape in ((), (2,)):

            def run(lib, other=other, other_shape=other_shape):
                t = lib.ones(shape, dtype=getattr(lib, name))
                o = lib.ones(other_shape, dtype=getattr(lib, other)) if isinstance(other, str) else other
                return lib.result_type(t, o), (t * o).dtype

            if {"float16", "bfloat16"} & {name, other} and {"complex64", "complex128", "1j"} & {
                name,
                str(other),
            }:
                continue  # PyTorch's complex32, which NumPy cannot hold
            assert str(run(rushlight)) == str(run(torch)), (other, other_shape)


def test_dtype_objects():
    for name in ALL:
        ours, theirs = getattr(rushlight, name), getattr(torch, name)
        assert repr(ours) == repr(theirs)
        assert ours.is_floating_point == theirs.is_floating_point
        assert ours.is_complex == theirs.is_complex
        assert ours.is_signed == theirs.is_signed
        assert ours.itemsize == theirs.itemsize
        assert repr(ours.to_complex() if ours.category != 1 else ours) is not None
        assert pickle.loads(pickle.dumps(ours)) is ours
        assert copy.deepcopy(ours) is ours


def test_default_dtype():
    for lib in (rushlight, torch):
        before = lib.get_default_dtype()
        lib.set_default_dtype(lib.float64)
        try:
            assert lib.tensor(1.5).dtype is lib.float64
            assert (lib.tensor(1) * 1.5).dtype is lib.float64
            assert lib.tensor(1j).dtype is lib.complex128
        finally:
            lib.set_default_dtype(before)
        with pytest.raises(TypeError):
            lib.set_default_dtype(lib.int32)


@pytest.mark.parametrize("text", ["cpu", "cuda", "cuda:1", "cpu:0", "mps", "meta"])
def test_devices(text):
    ours, theirs = rushlight.device(text), torch.device(text)
    assert repr(ours) == repr(theirs)
    assert str(ours) == str(theirs)
    assert (ours.type, ours.index) == (theirs.type, theirs.index)
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert len({ours, rushlight.device(text)}) == 1


@pytest.mark.parametrize("text", ["gpu", "cuda:", "cuda:x", "cuda:-1", ""])
def test_wrong_devices(text):
    for lib in (rushlight, torch):
        with pytest.raises(RuntimeError):
            lib.device(text)


def test_sizes():
    for lib in (rushlight, torch):
        size = lib.zeros(2, 3).shape
        assert repr(size) == "torch.Size([2, 3])"
        assert repr(size[1:]) == "torch.Size([3])"
        assert size == (2, 3)
        assert size.numel() == 6
        assert isinstance(size + (1,), lib.Size)
        assert pickle.loads(pickle.dumps(size)) == size


def test_threads():
    before = rushlight.get_num_threads()
    try:
        rushlight.set_num_threads(1)
        assert rushlight.get_num_threads() == 1
        for lib in (rushlight, torch):
            with pytest.raises(RuntimeError):
                lib.set_num_threads(0)
            with pytest.raises(RuntimeError):
                lib.set_num_threads("2")
    finally:
        rushlight.set_num_threads(before)


def test_no_cuda():
    assert not rushlight.cuda.is_available()
    assert rushlight.cuda.device_count() == 0
    for wrong in (
        lambda: rushlight.zeros(2).cuda(),
        lambda: rushlight.zeros(2, device="cuda"),
        rushlight.cuda.synchronize,
    ):
        with pytest.raises(AssertionError, match="CUDA"):
            wrong()
