"""New tensors: what PyTorch makes of the same expression, memory that is shared, and warnings."""

import warnings

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")

EXPRESSIONS = """
torch.tensor(1.5)
torch.tensor(True)
torch.tensor(2j)
torch.tensor(np.float64(1))
torch.tensor(np.int32(1))
torch.tensor([np.float64(1)])
torch.tensor([np.float16(1)])
torch.tensor([np.int32(1)])
torch.tensor([torch.tensor(1.0), torch.tensor(2.0)])
torch.tensor([torch.tensor([1.0]), torch.tensor([2.0])])
torch.tensor([torch.tensor(1.0).double(), 1])
torch.tensor([torch.tensor(1.0).int(), 1])
torch.tensor([torch.tensor(1), 2.5])
torch.tensor([1, 2.5, True])
torch.tensor([True, 2])
torch.tensor([1j, 2])
torch.tensor([])
torch.tensor([[], []])
torch.tensor(())
torch.tensor([(1, 2), [3, 4]])
torch.tensor([range(2), range(2)])
torch.tensor(range(3))
torch.tensor([1, [2]])
torch.tensor([[1, 2], [3, 4, 5]])
torch.tensor([None])
torch.tensor({1: 2})
torch.tensor(object())
torch.tensor(2**63)
torch.tensor(2**63, dtype=torch.uint64)
torch.tensor(2**70, dtype=torch.float32)
torch.tensor([300], dtype=torch.uint8)
torch.tensor([-1, 5], dtype=torch.uint8)
torch.tensor([1.5, -1.5], dtype=torch.int32)
torch.tensor(float("nan"), dtype=torch.int32)
torch.tensor([0.5, 0.0], dtype=torch.bool)
torch.tensor([1e40])
torch.tensor([1e10], dtype=torch.float16)
torch.tensor([1.5, 3], dtype=torch.bfloat16).float()
torch.tensor([1, 2], dtype=float)
torch.tensor([1, 2], dtype="float")
torch.tensor([1.0], requires_grad=True)
torch.tensor(b"abc")
torch.tensor(bytearray(b"abc"))
torch.tensor(np.array(["a"]))
torch.tensor(np.ones(3, dtype=np.uint16))
torch.tensor(np.array([1, 2]), dtype=torch.float32)
torch.tensor(np.ones((2, 3))[::-1])
torch.tensor(np.ones((2, 3, 4)).transpose(0, 2, 1))
torch.from_numpy(np.ones((2, 3, 4)).transpose(0, 2, 1))
torch.from_numpy(np.ones(3, dtype=">f4"))
torch.as_tensor(np.float64(1.5))
torch.as_tensor(np.ones(2), dtype=torch.float32)
torch.asarray(bytearray(b"abcd"))
torch.asarray([1.5], dtype=torch.float64, requires_grad=True)
torch.Tensor([1, 2])
torch.Tensor()
torch.Tensor((2, 3))
torch.Tensor(torch.tensor([1.0]))
torch.Tensor(np.ones(2))
torch.Tensor(1.5)
torch.Tensor("a")
torch.Tensor(2, 3).zero_()
torch.Tensor(torch.Size([2])).zero_()
torch.LongTensor([1.5])
torch.LongTensor(2).zero_()
torch.LongTensor(torch.tensor([1.0]))
torch.FloatTensor(range(2))
torch.BoolTensor([1, 0])
isinstance(torch.ones(1), torch.FloatTensor)
isinstance(torch.ones(1), torch.LongTensor)
torch.ones(1).type(torch.LongTensor)
torch.zeros(torch.tensor(2))
torch.zeros(np.int64(2))
torch.zeros(torch.Size([2, 3]))
torch.zeros(2, 3, 4, 5, dtype=torch.float64).to(memory_format=torch.channels_last)
torch.empty(2, 3, 4, 5, memory_format=torch.channels_last).zero_()
torch.empty(2, 3, memory_format=torch.channels_last)
torch.zeros_like(torch.ones(2, 3, 4).permute(2, 0, 1))
torch.ones_like(torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last))
torch.ones_like(torch.ones(2, 3, 4).permute(2, 0, 1), memory_format=torch.contiguous_format)
torch.ones(2).new_zeros(2, 3)
torch.ones(2).new_zeros((2, 3), dtype=torch.int32)
torch.ones(2).new_ones(size=(2, 3))
torch.ones(2).long().new_full((2,), 3.5)
torch.ones(2).new_tensor([1, 2])
torch.ones(2).long().new_tensor([1.5])
torch.ones(2).new([1, 2])
torch.ones(2).new_empty_strided((2, 3), (1, 2)).zero_()
torch.arange(torch.tensor(3))
torch.arange(np.float32(3))
torch.arange(0, 1, 0.001)
torch.arange(0.5, 2.5, dtype=torch.int64)
torch.arange(3, dtype=torch.uint8)
torch.arange(3.0, requires_grad=True)
torch.linspace(0, 1, 50)
torch.linspace(-3, 7, 101, dtype=torch.float64)
torch.linspace(3, 100, 37, dtype=torch.int32)
torch.linspace(torch.tensor(0.0), torch.tensor(1.0), 3)
""".strip().splitlines()


def outcome(module, expression: str):
    """What an expression gives: a description of the result, or the type of the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = eval(expression, {"torch": module, "np": np})
    except Exception as error:
        return type(error).__name__
    if not isinstance(value, module.Tensor):
        return value
    t = value.detach()
    return str(t.dtype), tuple(t.shape), t.stride(), value.requires_grad, t.numpy()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_pytorch(expression):
    ours, theirs = outcome(rushlight, expression), outcome(torch, expression)
    if not isinstance(theirs, tuple):
        assert ours == theirs
        return
    assert isinstance(ours, tuple), ours
    assert ours[:-1] == theirs[:-1]
    np.testing.assert_allclose(ours[-1], theirs[-1], rtol=1e-6, atol=1e-15)


def test_numpy_memory_is_shared_and_keeps_its_order():
    array = np.arange(24.0).reshape(2, 3, 4).transpose(0, 2, 1)
    t = rushlight.from_numpy(array)
    t[0, 0, 0] = 7
    assert array[0, 0, 0] == 7
    assert t.numpy() is array
    assert np.shares_memory(rushlight.as_tensor(array).numpy(), array)
    assert not np.shares_memory(rushlight.tensor(array).numpy(), array)


def test_dlpack_shares_memory():
    t = rushlight.zeros(3)
    rushlight.from_dlpack(np.from_dlpack(t))[0] = 5
    assert t[0] == 5


def test_as_tensor_returns_what_fits():
    t = rushlight.zeros(3)
    assert rushlight.as_tensor(t) is t
    assert rushlight.as_tensor(t, dtype=rushlight.float64) is not t


def test_unknown_device():
    with pytest.raises(AssertionError, match="cuda"):
        rushlight.zeros(2, device="cuda")


@pytest.mark.parametrize(
    "call",
    [
        lambda torch: torch.tensor(torch.ones(2)),
        lambda torch: torch.tensor([np.ones(2), np.ones(2)]),
        lambda torch: torch.range(1, 2),
        lambda torch: torch.frombuffer(b"abcd", dtype=torch.uint8),
    ],
)
def test_warnings(call):
    with pytest.warns(UserWarning):
        call(rushlight)


def test_read_only_array_warns():
    array = np.ones(2)
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        rushlight.from_numpy(array)


def test_ragged_message():
    with pytest.raises(ValueError, match=r"expected sequence of length 2 at dim 1 \(got 3\)"):
        rushlight.tensor([[1, 2], [3, 4, 5]])
