"""The memory pool behind arrays."""

import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rushlight import kernels as K

pytestmark = pytest.mark.skipif(K.NAME != "native", reason="the pool belongs to the native kernels")
if K.NAME == "native":
    from rushlight import _native

    if not _native.pool_stats()["enabled"]:
        pytest.skip("switched off by RUSHLIGHT_POOL=0", allow_module_level=True)


@pytest.fixture(autouse=True)
def empty_pool():
    gc.collect()
    _native.pool_release()
    limit = _native.pool_stats()["limit_bytes"]
    yield
    _native.pool_set_limit(limit)


def stats(name):
    return _native.pool_stats()[name]


@pytest.mark.parametrize("size", [1, 63, 64, 65, 500, 513, 4096, 100_000, (1 << 20) - 1, 1 << 20, 5_000_000])
def test_memory_is_recycled(size):
    x = np.empty(size, np.uint8)
    where = x.ctypes.data
    assert where % 64 == 0
    del x
    system = stats("system_allocations")
    y = np.empty(size, np.uint8)
    assert y.ctypes.data == where
    assert stats("system_allocations") == system


def test_statistics():
    before = _native.pool_stats()
    x = np.empty(1 << 20, np.uint8)
    during = _native.pool_stats()
    held = during["current_bytes"] - before["current_bytes"]
    assert 1 << 20 <= held <= (1 << 20) * 9 // 8
    assert during["requests"] == before["requests"] + 1
    assert during["cached_bytes"] == 0
    del x
    after = _native.pool_stats()
    assert after["current_bytes"] == before["current_bytes"]
    assert after["cached_bytes"] == held
    assert after["peak_bytes"] >= during["current_bytes"]
    _native.pool_reset_peak()
    assert stats("peak_bytes") == stats("current_bytes")
    _native.pool_release()
    assert stats("cached_bytes") == 0


def test_classes_waste_little():
    """Every size class holds what was asked for, and at most an eighth more (64 bytes for small ones)."""
    for size in [*range(1, 3000, 7), *(int(1.07**k) for k in range(60, 200))]:
        before = stats("current_bytes")
        x = np.empty(size, np.uint8)
        held = stats("current_bytes") - before
        assert size <= held <= max(size + 64, size * 9 // 8 + 64)
        x[-1] = 1
        del x


def test_zeros_are_zero():
    for size in (10, 1000, 100_000, 3_000_000):
        for _ in range(2):
            x = np.zeros(size, np.uint8)
            assert not x.any()
            x[:] = 255
            del x


def test_cache_is_capped():
    _native.pool_set_limit(1 << 20)
    arrays = [np.empty(300_000, np.uint8) for _ in range(10)]
    del arrays
    assert stats("cached_bytes") <= 1 << 20
    big = np.empty(1 << 22, np.uint8)
    del big
    assert stats("cached_bytes") <= 1 << 20
    _native.pool_set_limit(0)
    x = np.ones(1000)
    del x
    assert stats("cached_bytes") == 0


def test_resize_and_shape_changes():
    """NumPy frees with a size of its own reckoning, which in-place changes make wrong."""
    before = stats("current_bytes")
    x = np.arange(1000)
    x.resize(100_000, refcheck=False)
    assert x[999] == 999 and not x[1000:].any()
    x.resize(10, refcheck=False)
    np.testing.assert_array_equal(x, np.arange(10))
    x.resize(0, refcheck=False)
    del x
    y = np.empty((4, 0, 3))
    del y
    z = np.array(["abc", "de"], dtype=object)
    del z
    assert stats("current_bytes") == before


def test_arrays_of_kernels_are_in_the_pool_in_any_thread():
    x = np.ones(1000, np.float32)
    for call in (lambda: K.add(x, x), lambda: K.exp(x), lambda: K.softmax(x, 0)):
        before = stats("requests")
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        assert stats("requests") > before


def test_install_in_a_thread():
    def work():
        first = stats("requests")
        np.empty(1000)
        second = stats("requests")
        _native.pool_install()
        np.empty(1000)
        return second - first, stats("requests") - second

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == (0, 1)


def test_many_cycles_from_threads():
    before = stats("current_bytes")

    def work(seed):
        _native.pool_install()
        rng = np.random.default_rng(seed)
        kept = []
        for i in range(1500):
            size = int(rng.integers(0, 1 << int(rng.integers(1, 19))))
            kept.append((np.full(size, i % 251, np.uint8), i % 251))
            if len(kept) > 20:
                array, value = kept.pop(int(rng.integers(20)))
                assert (array == value).all()
        return kept  # freed in the other thread

    with ThreadPoolExecutor(4) as pool:
        for kept in pool.map(work, range(4)):
            assert all((array == value).all() for array, value in kept)
    del kept
    gc.collect()
    assert stats("current_bytes") - before < 1 << 20


def run(code, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_arrays_may_outlive_the_interpreter():
    code = """
import atexit, sys
import numpy as np
from rushlight import kernels as K
class Late:
    def __init__(self): self.x = K.add(np.ones(100000, np.float32), 1.0)
    def __del__(self): self.x = None
sys.late = Late()
atexit.register(lambda: K.exp(np.ones(5, np.float32)))
np.late = [K.exp(np.ones(1 << k, np.float32)) for k in range(22)]
print("done")
"""
    result = run(code)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


def test_switched_off():
    code = """
import numpy as np
from rushlight import _native, kernels as K
x = K.add(np.ones(1000, np.float32), 1.0)
assert x.sum() == 2000 and K.add(np.zeros((0, 3), np.float32), 1.0).shape == (0, 3)
s = _native.pool_stats()
print(s["enabled"], s["requests"])
"""
    result = run(code, RUSHLIGHT_POOL="0")
    assert result.stdout == "False 0\n", result.stderr


def test_fork():
    code = """
import os
import numpy as np
from rushlight import kernels as K
kept = [np.ones(n, np.float32) for n in (10, 100000, 1 << 20)]
child = os.fork()
x = K.add(np.ones(1000, np.float32), 1.0)
del kept
if child == 0:
    os._exit(0 if x.sum() == 2000 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    result = run(code)
    assert result.stdout == "0\n", result.stderr


@pytest.mark.parametrize("level", ["sse2", "avx2"])
def test_lower_cpu_levels(level):
    """The loops for older processors give the same values, but for rounding."""
    code = """
import sys
import numpy as np
from rushlight import _native, kernels as K
x = np.linspace(-9, 9, 1001).astype(np.float32)
results = [f(x) for f in (K.exp, K.tanh, K.gelu, K.sin, K.erf, K.sum, K.var)]
results += [K.log(K.abs(x)), K.softmax(x, 0)]
print(_native.cpu_level())
print(np.concatenate([r.ravel() for r in results]).tobytes().hex())
"""
    usual, lower = run(code).stdout.split(), run(code, RUSHLIGHT_CPU=level).stdout.split()
    assert lower[0] in ("sse2", level)
    a, b = (np.frombuffer(bytes.fromhex(r[1]), np.float32) for r in (usual, lower))
    np.testing.assert_allclose(a, b, 1e-6, 2e-7)
