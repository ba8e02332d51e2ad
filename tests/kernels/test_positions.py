"""Running sums and products, gather and scatter_add against PyTorch."""

import numpy as np
import pytest

from rushlight import kernels as K
from rushlight.kernels.reference import positions as reference

torch = pytest.importorskip("torch")

SHAPES = [(7,), (5, 6), (9, 300), (300, 9), (3, 4, 5), (2, 600, 3), (2, 3, 1100), (0, 3), (4, 0), (1, 1)]


def rand(shape, dtype=np.float32, seed=0):
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * 3).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_scan(shape, dtype):
    x = rand(shape, dtype)
    for axis in range(len(shape)):
        for product, theirs in ((False, torch.cumsum), (True, torch.cumprod)):
            given = np.clip(x, -1.2, 1.2).astype(dtype) if product else x
            for a in (given, np.asfortranarray(given)):
                expected = theirs(torch.from_numpy(given), axis).numpy().astype(dtype)
                np.testing.assert_allclose(K.scan(a, axis, product), expected, rtol=1e-5, atol=2e-5)
            turned = np.flip(given, axis).copy()
            expected = np.flip(theirs(torch.from_numpy(turned), axis).numpy(), axis).astype(dtype)
            np.testing.assert_allclose(K.scan(given, axis, product, True), expected, rtol=1e-5, atol=2e-5)


CASES = [
    ((7,), (9,), 0),
    ((5, 6), (8, 4), 0),
    ((5, 6), (3, 40), 1),
    ((3, 4, 5), (3, 2, 5), 1),
    ((3, 4), (0, 4), 0),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.float16, np.bool_, np.complex64])
@pytest.mark.parametrize("shape, places, axis", CASES)
def test_gather_and_scatter_add(shape, places, axis, dtype):
    x = rand(shape, dtype)
    index = np.random.default_rng(1).integers(0, shape[axis], places)
    expected = torch.from_numpy(x).gather(axis, torch.from_numpy(index)).numpy()
    for a in (x, np.asfortranarray(x), np.repeat(x, 2, -1)[..., ::2]):
        for i in (index, np.asfortranarray(index)):
            found = K.gather(a, i, axis)
            assert found.dtype == x.dtype
            np.testing.assert_array_equal(found, expected)
    if dtype in (np.bool_, np.float16):
        return
    values = rand(places, dtype, 2)
    expected = torch.from_numpy(x.copy()).scatter_add_(
        axis, torch.from_numpy(index), torch.from_numpy(values)
    )
    for a in (x.copy(), np.array(x, order="F")):
        assert K.scatter_add(a, index, values, axis) is a
        np.testing.assert_allclose(a, expected.numpy(), rtol=1e-5, atol=1e-5)
    with pytest.raises(IndexError):
        reference.gather(x, np.full(places, shape[axis]), axis) if index.size else [][0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.float16])
@pytest.mark.parametrize(
    "n, k", [(1, 1), (5, 0), (5, 5), (40, 3), (1000, 3), (1000, 64), (300, 70), (2000, 1)]
)
def test_topk(n, k, dtype):
    x = rand((6, n), dtype)
    if dtype != np.int64 and n > 100:
        x[0, 7::50], x[1, ::3], x[2, 1::2] = np.nan, -np.inf, np.inf
    for largest in (True, False):
        for a in (x, np.asfortranarray(x)):
            index = K.topk(a, k, largest)
            assert (index.dtype, index.shape) == (np.int64, (6, k))
            assert all(len(set(row)) == k for row in index.tolist())
            expected = torch.topk(torch.from_numpy(x), k, 1, largest).values.numpy()
            np.testing.assert_array_equal(np.take_along_axis(x, index, 1), expected)


@pytest.mark.skipif(K.NAME != "native", reason="NumPy's partition leaves the order of equal elements open")
def test_topk_takes_the_first_of_equal_ones():
    x = np.float32([[1, 3, 3, 0, 3, 2] * 10])
    np.testing.assert_array_equal(K.topk(x, 4, True), [[1, 2, 4, 7]])
    np.testing.assert_array_equal(K.topk(x, 2, False), [[3, 9]])
