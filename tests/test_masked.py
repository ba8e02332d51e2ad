"""`torch.masked`: PyTorch's own samples, with gradients."""

import warnings

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
NAMES = rushlight.masked.__all__
INTEGERS = [
    n for n in NAMES if "softm" not in n
]  # these have no kernel for integers, which shows unless there are none


def _samples(name: str, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.opinfo.definitions._masked import op_db

        found = [op for op in op_db if op.name == f"masked.{name}"]
        for op in found:
            for sample in op.sample_inputs("cpu", dtype, requires_grad=dtype.is_floating_point):
                if sample.input.layout is torch.strided:
                    yield sample


def _ours(value):
    """The same argument here."""
    if isinstance(value, torch.Tensor):
        return rushlight.tensor(value.detach().numpy(), requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return getattr(rushlight, str(value).removeprefix("torch."))
    return type(value)(map(_ours, value)) if isinstance(value, list | tuple) else value


def _result(space, input, args, kwargs):
    """The value, its type and the gradient of the input; or the type of the exception."""
    name, tensor = space
    try:
        found = name(input, *args, **kwargs)
    except Exception as error:
        return type(error).__name__, None, None
    if found.requires_grad:
        weights = tensor(np.cos(np.arange(found.numel())).reshape(tuple(found.shape))).to(found.dtype)
        (found * weights).nan_to_num(0.0, 0.0, 0.0).sum().backward()
    grad = None if input.grad is None else input.grad.numpy()
    return str(found.dtype).partition(".")[2], found.detach().numpy(), grad


@pytest.mark.parametrize(
    ("name", "dtype"), [(n, "float64") for n in NAMES] + [(n, "int64") for n in INTEGERS]
)
def test_samples(name, dtype):
    """Values, types, gradients and exceptions agree."""
    for sample in list(_samples(name, getattr(torch, dtype)))[::7]:
        ours = [_ours(sample.input), _ours(sample.args), {k: _ours(v) for k, v in sample.kwargs.items()}]
        theirs = _result(
            (getattr(torch.masked, name), torch.tensor), sample.input, sample.args, sample.kwargs
        )
        found = _result((getattr(rushlight.masked, name), rushlight.tensor), *ours)
        assert found[0] == theirs[0]
        for x, y in zip(found[1:], theirs[1:], strict=True):
            tight = dtype == "float64" or x is None or x.dtype != np.float32
            if x is not None and y is not None:
                np.testing.assert_allclose(x, y, rtol=1e-9 if tight else 1e-6, atol=1e-12)


def test_wrong_arguments():
    """Masks that do not fit and sparse tensors are refused."""
    x = rushlight.ones(2, 3)
    for call, error in (
        (lambda: rushlight.masked.sum(x, mask=rushlight.ones(1, 2, 3) > 0), IndexError),
        (lambda: rushlight.masked.sum(x, mask=rushlight.ones(2) > 0), RuntimeError),
        (lambda: rushlight.masked.sum(x, (0, 0)), RuntimeError),
        (lambda: rushlight.masked.mean(x.int()), ValueError),
        (lambda: rushlight.masked.amax(x.bool(), mask=x > 0), NotImplementedError),
        (lambda: rushlight.masked.softmax(x.to_sparse(), 0), ValueError),
        (lambda: rushlight.masked.var(x, unbiased=True, correction=1), AssertionError),
    ):
        with pytest.raises(error):
            call()
