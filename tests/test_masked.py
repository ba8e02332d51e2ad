"""`torch.masked` beside PyTorch: values, types and gradients over masks, dimensions and types."""

import itertools

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
NAMES = rushlight.masked.reductions.__all__
X = np.array([[1.5, -2.0, 0.25], [4.0, 3.0, -1.0]])
MASKS = (None, [[True, False, True], [False, True, True]], [True, False, True], [[True], [False]])
ALONG = ("cumprod", "cumsum", "log_softmax", "normalize", "softmax", "softmin")


def _calls(name: str):
    """Arguments: positional ones, and by name."""
    before = (3.0,) if name == "normalize" else ()
    if name == "logaddexp":
        return [((), {})]
    if name in ALONG:
        return [((*before, dim), {}) for dim in (0, -1, 5)]
    dims = (0, -1) if name in ("argmax", "argmin", "median") else (None, 1, (0, 1), (1, 1))
    calls = [((), {"dim": dim, "keepdim": keepdim}) for dim in dims for keepdim in (False, True)]
    calls += [((o,), {"dim": 1}) for o in (0, 1, float("inf"), -float("inf"))] if name == "norm" else []
    return calls + ([((1, False), {}), ((), {"correction": 2})] if name in ("std", "var") else [])


def _outcome(torch, name: str, dtype: str, mask, args, kwargs):
    """The value, its type and the gradient of the input; or the type of the exception."""
    x = torch.tensor(X.tolist()).to(getattr(torch, dtype)).requires_grad_(dtype == "float64")
    masks = {} if mask is None else {"mask": torch.tensor(mask)}
    if name == "logaddexp":
        args, masks = (x.detach() * 2,), {} if mask is None else {"input_mask": masks["mask"]}
    try:
        found = getattr(torch.masked, name)(x, *args, **kwargs, **masks)
    except Exception as error:
        return type(error).__name__, None, None
    if found.requires_grad:
        weights = torch.tensor(np.cos(np.arange(found.numel())).reshape(tuple(found.shape)).tolist())
        (found.nan_to_num(0.0, 0.0, 0.0) * weights).sum().backward()
    return (
        str(found.dtype).partition(".")[2],
        found.detach().numpy(),
        None if x.grad is None else x.grad.numpy(),
    )


@pytest.mark.parametrize("dtype", ["float64", "int64"])
@pytest.mark.parametrize("name", NAMES)
def test_agreement(name, dtype):
    """Values, types, gradients and exceptions agree."""
    if dtype == "int64" and "softm" in name:
        pytest.skip("there are no kernels for integers")
    for mask, (args, kwargs) in itertools.product(MASKS, _calls(name)):
        ours, theirs = (_outcome(t, name, dtype, mask, args, kwargs) for t in (rushlight, torch))
        assert ours[0] == theirs[0], (mask, args, kwargs)
        for x, y in zip(ours[1:], theirs[1:], strict=True):
            if x is not None and y is not None:
                np.testing.assert_allclose(x, y, rtol=1e-9 if dtype == "float64" else 1e-6, atol=1e-12)


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
