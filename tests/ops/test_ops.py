"""Every row of every op table, against PyTorch and finite differences."""

import importlib
import pathlib

import numpy as np
import pytest

import rushlight
from rushlight.ops.registry import OPS

torch = pytest.importorskip("torch")

TABLES = sorted(p.stem for p in pathlib.Path(__file__).parent.glob("table_*.py"))
ROWS = [row for table in TABLES for row in importlib.import_module(f"tests.ops.{table}").ROWS]


def _id(row) -> str:
    return f"{row.name}-{row.id}" if row.id else row.name


def rows(condition=lambda row: True):
    """Parametrise a test over the rows for which a condition holds."""
    return pytest.mark.parametrize("row", [r for r in ROWS if condition(r)], ids=_id)


def tensors(module, row, arrays, requires_grad: bool) -> list:
    """The arrays as tensors of one framework."""
    made = []
    for spec, array in zip(row.inputs, arrays, strict=True):
        t = module.from_numpy(array.copy(order="K"))
        made.append(t.requires_grad_() if requires_grad and spec.grad and array.dtype.kind in "fc" else t)
    return made


def flat(result) -> list:
    """The tensors and numbers in a result, in order."""
    if isinstance(result, tuple | list):
        return [leaf for item in result for leaf in flat(item)]
    return [result]


def to_numpy(t) -> np.ndarray:
    """A tensor's values, whatever its type and history."""
    t = t.detach()
    if str(t.dtype) == "torch.bfloat16":
        t = t.float()
    return t.resolve_conj().numpy(force=True) if isinstance(t, torch.Tensor) else t.numpy()


def assert_same(ours, theirs, tol: float, what: str) -> None:
    """Compare two results: structure, dtype, shape and values."""
    ours, theirs = flat(ours), flat(theirs)
    assert len(ours) == len(theirs), what
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if isinstance(b, torch.Tensor):
            assert isinstance(a, rushlight.Tensor), f"{what} {i}: {type(a)}"
            assert str(a.dtype) == str(b.dtype), f"{what} {i}: dtype {a.dtype}, PyTorch's {b.dtype}"
            assert tuple(a.shape) == tuple(b.shape), f"{what} {i}: shape {a.shape}, PyTorch's {b.shape}"
            near = tol if b.dtype in (torch.float64, torch.complex128) else max(tol, 1e-6)
            np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=near, atol=near, err_msg=f"{what} {i}")
        else:
            assert a == b or a is b or a != a, f"{what} {i}: {a!r}, PyTorch's {b!r}"


def differentiable(result, module) -> list:
    """The outputs that gradients flow to."""
    return [t for t in flat(result) if isinstance(t, module.Tensor) and t.requires_grad]


def derivatives(module, row, arrays, order: int):
    """First (and second) derivatives of the outputs, weighted with fixed random numbers."""
    rng = np.random.default_rng(0)
    inputs = tensors(module, row, arrays, True)
    wanted = [t for t in inputs if t.requires_grad]

    def weighted(outputs):
        total = 0
        for out in outputs:
            weight = rng.uniform(0.5, 1.5, tuple(out.shape)).astype(_numpy_name(out))
            product = out * module.from_numpy(np.asarray(weight))
            total = total + (product.real if product.is_complex() else product).sum()
        return total

    outputs = differentiable(row.call(module, *inputs), module)
    assert outputs, "no output requires gradients"
    first = module.autograd.grad(weighted(outputs), wanted, create_graph=order > 1, allow_unused=True)
    if order == 1:
        return first
    linked = [g for g in first if g is not None and g.requires_grad]
    if not linked:
        return [None] * len(wanted)
    return module.autograd.grad(weighted(linked), wanted, allow_unused=True)


def _numpy_name(t) -> str:
    return str(t.dtype).removeprefix("torch.")


def _compare_gradients(row, arrays, order: int, tol: float) -> None:
    ours = derivatives(rushlight, row, arrays, order)
    theirs = derivatives(torch, row, arrays, order)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a is None or b is None:
            # None and zeros both say that nothing depends on this input.
            assert a is None or not np.any(to_numpy(a)), f"gradient {i} should be None or zero"
            assert b is None or not np.any(to_numpy(b)), f"gradient {i} is missing"
        else:
            assert_same(a, b, tol, f"derivative {order} of input {i}")


@rows()
def test_value(row):
    for dtype in row.dtypes:
        arrays = row.arrays(dtype)
        inputs = tensors(rushlight, row, arrays, False)
        ours = row.call(rushlight, *inputs)
        theirs = row.call(torch, *tensors(torch, row, arrays, False))
        assert_same(ours, theirs, row.tol if dtype == "float64" else row.tol32, f"{dtype} result")
        dense = [t for t in flat(ours) if isinstance(t, rushlight.Tensor) and not t.is_sparse and t.numel()]
        assert all(t._array.flags.writeable or 0 in t.stride() for t in dense), "a result cannot be written"
        if not row.name.endswith("_"):
            for t, array in zip(inputs, arrays, strict=True):
                np.testing.assert_array_equal(t.numpy(), array, err_msg="an input was changed")


@rows(lambda row: row.grad)
def test_gradient(row):
    _compare_gradients(row, row.arrays("float64"), 1, max(row.tol, 1e-9))


@rows(lambda row: row.grad and "float32" in row.dtypes)
def test_gradient_float32(row):
    _compare_gradients(row, row.arrays("float32"), 1, max(row.tol32, 1e-4))


@rows(lambda row: row.grad and row.grad2)
def test_second_derivative(row):
    _compare_gradients(row, row.arrays("float64"), 2, max(row.tol, 1e-8))


@rows(lambda row: row.grad and row.fd)
def test_finite_differences(row):
    inputs = tensors(rushlight, row, row.arrays("float64"), True)
    assert rushlight.autograd.gradcheck(
        lambda *xs: differentiable(row.call(rushlight, *xs), rushlight), inputs, fast_mode=True, atol=1e-4
    )


def _transposed(array: np.ndarray) -> np.ndarray:
    """The same values, with the dimensions in the opposite order in memory."""
    return np.ascontiguousarray(array.T).T.reshape(array.shape)


def _sliced(array: np.ndarray) -> np.ndarray:
    """The same values, every second element of a larger array."""
    if array.ndim == 0:
        return array
    wide = np.zeros((*array.shape[:-1], array.shape[-1] * 2), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def _channels_last(array: np.ndarray) -> np.ndarray:
    """The same values, with dimension 1 last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1) if array.ndim == 4 else array


@rows(lambda row: row.layouts and row.inputs)
@pytest.mark.parametrize(
    "layout", [_transposed, _sliced, _channels_last], ids=lambda f: f.__name__.strip("_")
)
def test_layout(row, layout):
    dtype = row.dtypes[-1]
    arrays = row.arrays(dtype)
    laid_out = [layout(a) for a in arrays]
    if all(a.strides == b.strides for a, b in zip(arrays, laid_out, strict=True)):
        pytest.skip("no input has another layout of this kind")
    theirs = row.call(torch, *[torch.from_numpy(a) for a in arrays])
    ours = row.call(rushlight, *[rushlight.from_numpy(a) for a in laid_out])
    assert_same(ours, theirs, row.tol if dtype == "float64" else row.tol32, "result")


@rows(lambda row: row.wrong)
def test_wrong_input(row):
    for i, wrong in enumerate(row.wrong):
        with pytest.raises(Exception) as theirs:
            wrong(torch)
        with pytest.raises(Exception) as ours:
            wrong(rushlight)
        assert type(ours.value).__name__ == type(theirs.value).__name__, (
            f"wrong call {i}: {ours.value!r}, PyTorch's {theirs.value!r}"
        )


def test_every_op_has_a_row():
    missing = sorted(set(OPS) - {row.name for row in ROWS} - RANDOM)
    assert not missing, f"ops without a row in tests/ops/table_*.py: {missing}"


# Random ops are compared number by number in tests/test_random.py and tests/distributions/test_sampling.py.
SAMPLING = ("rushlight.ops.random", "rushlight.ops.special_sampling")
RANDOM = {name for name, found in OPS.items() if found.function.__module__ in SAMPLING}
