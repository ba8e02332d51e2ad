"""Padded and packed sequences against PyTorch's."""

import copy
import pickle

import numpy as np
import pytest

import rushlight
from tests.nn.test_rnn import FRAMEWORKS, flat, same, weighted

torch = pytest.importorskip("torch")


def arrays(lengths, *rest, dtype="float64"):
    """Sequences of these lengths."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, *rest)).astype(dtype) for n in lengths]


def both(function, lengths=(4, 2, 2, 1), rest=(3,), second=True) -> None:
    """Compare a function of sequences, its gradients, and (in part) their gradients."""
    results = []
    for module in FRAMEWORKS:
        sequences = [module.from_numpy(a.copy()).requires_grad_() for a in arrays(lengths, *rest)]
        outputs = [t for t in flat(function(module.nn.utils.rnn, module, sequences)) if t is not None]
        rng = np.random.default_rng(1)
        loss = weighted(module, [t * t for t in outputs if t.is_floating_point()], rng)
        first = module.autograd.grad(loss, sequences, create_graph=second)
        results.append([*outputs, *first])
        if second:
            results[-1] += module.autograd.grad(sum((g * g).sum() for g in first), sequences)
    same(*results, "", 1e-12)


def packed(R, sequences, **settings):
    return R.pack_sequence(sequences, **settings)


CALLS = [
    lambda R, t, s: R.pad_sequence(s),
    lambda R, t, s: R.pad_sequence(s, True, 2.5),
    lambda R, t, s: R.pad_sequence(s, batch_first=True, padding_value=-1, padding_side="left"),
    lambda R, t, s: R.pad_sequence(s, padding_side="left"),
    lambda R, t, s: tuple(packed(R, s)),
    lambda R, t, s: tuple(packed(R, s[::-1], enforce_sorted=False)),
    lambda R, t, s: R.pad_packed_sequence(packed(R, s)),
    lambda R, t, s: R.pad_packed_sequence(packed(R, s), True, -2.0),
    lambda R, t, s: R.pad_packed_sequence(packed(R, s[::-1], enforce_sorted=False), True, total_length=7),
    lambda R, t, s: R.pad_packed_sequence(packed(R, s), padding_value=float("inf"), total_length=6)[0][:2],
    lambda R, t, s: R.unpack_sequence(packed(R, s[::-1], enforce_sorted=False)),
    lambda R, t, s: R.unpad_sequence(R.pad_sequence(s), t.tensor([4, 2, 2, 1])),
    lambda R, t, s: R.unpad_sequence(R.pad_sequence(s, True), t.tensor([4, 1, 2, 1]), batch_first=True),
    lambda R, t, s: tuple(R.pack_padded_sequence(R.pad_sequence(s), [4, 2, 2, 1])),
    lambda R, t, s: tuple(R.pack_padded_sequence(R.pad_sequence(s, True), t.tensor([3, 2, 4, 1]), True, False)),
    lambda R, t, s: tuple(R.pack_padded_sequence(R.pad_sequence(s, True), t.tensor([3.0, 2, 2, 1]), True)),
    lambda R, t, s: t._pack_padded_sequence(R.pad_sequence(s), t.tensor([4, 2, 2, 1]), False),
    lambda R, t, s: t._pad_packed_sequence(R.pack_sequence(s).data, t.tensor([4, 3, 1, 1]), True, 1.0, 5),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("rest", [(), (3,), (2, 2)])
def test_same_values_and_gradients(call, rest):
    both(call, rest=rest)


def test_types():
    for module in FRAMEWORKS:
        R = module.nn.utils.rnn
        whole, real = module.tensor([1, 2]), module.tensor([1.5])
        assert R.pad_sequence([whole, real], padding_value=1.5).tolist() == [[1, 1], [2, 1]]
        assert R.pad_sequence([real, whole]).dtype == module.float32
        assert R.pad_sequence([module.tensor([True]), module.tensor([False, True])], True).tolist() == [
            [True, False], [False, True],
        ]  # fmt: skip
        assert R.pad_sequence(iter([whole, whole[:1]])).shape == (2, 2)
        assert R.pad_sequence(module.zeros(2, 3)).shape == (3, 2)
        assert R.pad_sequence([module.zeros(2, 3), module.ones(1, 1)], True)[1, 0].tolist() == [1, 1, 1]
        assert R.pack_sequence([whole, whole[:1]]).data.tolist() == [1, 1, 2]


def test_packed_sequence_is_a_named_tuple():
    texts = []
    for module in FRAMEWORKS:
        R = module.nn.utils.rnn
        given = R.pack_sequence([module.tensor([1.0]), module.tensor([2.0, 3.0])], enforce_sorted=False)
        data, sizes, order, back = given
        assert (data.tolist(), sizes.tolist(), order.tolist(), back.tolist()) == (
            [2, 1, 3],
            [2, 1],
            [1, 0],
            [1, 0],
        )
        assert isinstance(given, tuple)
        assert given.to(module.float32) is given
        for name, kind in (
            ("double", "float64"), ("half", "float16"), ("float", "float32"), ("long", "int64"), ("int", "int32"),
            ("short", "int16"), ("char", "int8"), ("byte", "uint8"),
        ):  # fmt: skip
            other = getattr(given, name)()
            assert type(other) is type(given)
            assert other.data.dtype == getattr(module, kind)
            assert other.sorted_indices.tolist() == [1, 0]
        assert given.to("cpu", module.float64).data.dtype == module.float64
        assert given.cpu().data.tolist() == [2, 1, 3]
        assert not given.is_cuda
        assert not given.is_pinned()
        for other in (copy.copy(given), copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
            assert type(other) is type(given)
            assert [t.tolist() for t in other] == [t.tolist() for t in given]
        assert R.PackedSequence((data, sizes)).batch_sizes is sizes
        assert R.PackedSequence(data, sizes, order).unsorted_indices.tolist() == [1, 0]
        assert R.invert_permutation(None) is None
        assert R.invert_permutation(module.tensor([2, 0, 1])).tolist() == [1, 2, 0]
        texts.append(repr(given))
    assert texts[0] == texts[1]


def test_paths():
    assert rushlight.nn.modules.rnn.LSTM is rushlight.nn.LSTM
    assert set(torch.nn.utils.rnn.__all__) == set(rushlight.nn.utils.rnn.__all__)


def test_the_padded_batch_is_left_alone():
    padded = rushlight.zeros(3, 2)
    first, _ = rushlight.nn.utils.rnn.unpad_sequence(padded, rushlight.tensor([3, 1]))
    first.add_(1)
    assert padded.shape == (3, 2)
    assert not padded.any()


WRONG = [
    "R.pack_padded_sequence(t.zeros(3, 2, 1), [3, 2, 1])", "R.pack_padded_sequence(t.zeros(3, 2, 1), [2, 3])",
    "R.pack_padded_sequence(t.zeros(3, 2, 1), [2, 0])", "R.pack_padded_sequence(t.zeros(3, 2, 1), t.ones(2, 2))",
    "R.pack_padded_sequence(t.zeros(3, 2, 1), 3)", "R.pack_padded_sequence(t.zeros(3, 0, 1), [])",
    "R.pack_padded_sequence(t.zeros(3), [2, 1])", "R.pack_sequence([t.zeros(1), t.zeros(2)])", "R.pack_sequence([])",
    "t._pack_padded_sequence(t.zeros(3, 2, 1), t.tensor([2, 1], dtype=t.int32), False)",
    "R.pad_packed_sequence(R.pack_sequence([t.zeros(2), t.zeros(1)]), total_length=1)",
    "t._pad_packed_sequence(t.zeros(3), t.tensor([2, 1]), False, 0.0, 1)", "R.pad_sequence([])", "R.pad_sequence(5)",
    "R.pad_sequence([t.zeros(2, 3), t.zeros(1, 2)])", "R.pad_sequence([t.zeros(2)], padding_side='up')",
    "R.PackedSequence(t.zeros(3))",
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_refuses_the_same(wrong):
    errors = []
    for module in FRAMEWORKS:
        with pytest.raises(Exception) as caught:
            eval(wrong, {"t": module, "R": module.nn.utils.rnn})
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1]), f"{errors[0]!r}, PyTorch's {errors[1]!r}"
    assert str(errors[0]).startswith(str(errors[1])[:70])


def test_refuses_lengths_beyond_the_batch():  # where PyTorch reads past its end
    with pytest.raises(RuntimeError, match="at most 3"):
        rushlight.nn.utils.rnn.pack_padded_sequence(rushlight.zeros(3, 2, 1), [4, 2])


def test_refuses_batch_sizes_that_no_packing_gives():
    net = rushlight.nn.LSTM(1, 2)
    for sizes in ([1, 2], [2, 2], [3, 0], [], [[2, 1]], [2.0, 1.0]):
        packed = rushlight.nn.utils.rnn.PackedSequence(rushlight.zeros(3, 1), rushlight.tensor(sizes))
        with pytest.raises((RuntimeError, IndexError, ValueError)):
            net(packed)
        with pytest.raises(RuntimeError):
            rushlight.nn.utils.rnn.pad_packed_sequence(packed)
