"""The native time loops against the NumPy ones, at every CPU level and number of threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

import rushlight
from rushlight.kernels.reference import rnn as reference

native = pytest.importorskip("rushlight.kernels.cpu.rnn") if rushlight.kernels.NAME == "native" else None
pytestmark = pytest.mark.skipif(native is None, reason="no native kernels")
GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
# batch sizes, hidden size, projected size
SHAPES = [
    ([5, 5, 3, 1], 7, 0), ([32] * 3, 20, 0), ([3] * 4, 130, 0), ([9, 9, 4], 16, 5), ([1] * 3, 300, 0), ([4], 9, 0),
    ([2], 8, 3), ([17, 2], 33, 0),
]  # fmt: skip


def inputs(cell, sizes, hidden, projected, dtype="float64"):
    """Arguments of `rnn_forward`, but for the last two."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: (rng.normal(size=shape) * 0.4).astype(dtype)
    out, rows = projected or hidden, GATES[cell] * hidden
    return {
        "cell": cell, "x": draw(sum(sizes), 6), "w_ih": draw(rows, 6), "bias": draw(rows), "h": draw(sizes[0], out),
        "c": draw(sizes[0], hidden) if cell == "lstm" else None, "w_hh": draw(rows, out) / np.sqrt(out, dtype=dtype),
        "b_hn": draw(hidden) if cell == "gru" else None,
        "w_hr": draw(projected, hidden) if projected else None, "batch_sizes": np.array(sizes),
    }  # fmt: skip


def run(kernels, given, reverse):
    """All results of a forward and a backward pass, in order."""
    forward = kernels.rnn_forward(**given, reverse=reverse, keep=True)
    y, h, c, saved = forward
    gradients = [None if a is None else np.cos(a) for a in (y, h, c)]
    backward = kernels.rnn_backward(
        given["cell"], *gradients, saved, given["w_hh"], given["w_hr"], given["batch_sizes"], reverse
    )
    return [y, h, c, *saved, *backward]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", GATES)
def test_agrees_with_the_reference(cell, reverse):
    for sizes, hidden, projected in SHAPES:
        if projected and cell != "lstm":
            continue
        for dtype, tol in (("float64", 1e-9), ("float32", 1e-4)):
            given = inputs(cell, sizes, hidden, projected, dtype)
            found, expected = run(native, given, reverse), run(reference, given, reverse)
            for i, (a, b) in enumerate(zip(found, expected, strict=True)):
                if a is None or b is None:
                    assert a is b, i
                else:
                    np.testing.assert_allclose(a, b, rtol=tol, atol=tol, err_msg=f"{sizes} {hidden} {i}")


def test_keeping_changes_no_result():
    given = inputs("gru", [4, 4, 1], 9, 0)
    kept, bare = (native.rnn_forward(**given, reverse=False, keep=keep) for keep in (True, False))
    for a, b in zip(kept[:2], bare[:2], strict=True):
        np.testing.assert_array_equal(a, b)


def test_threads_change_no_result():
    threads = rushlight.get_num_threads()
    try:
        for cell in GATES:
            for sizes, hidden in (([40, 40, 13], 65), ([3] * 3, 300)):  # threads share samples, or units
                given = inputs(cell, sizes, hidden, 0, "float32")
                results = []
                for n in (1, 2, 3):
                    rushlight.set_num_threads(n)
                    results.append(run(native, given, False))
                for other in results[1:]:
                    for a, b in zip(results[0], other, strict=True):
                        assert a is None or np.array_equal(a, b)
    finally:
        rushlight.set_num_threads(threads)


LEVEL = """
import numpy as np
from tests.kernels.test_rnn import GATES, SHAPES, inputs, native, reference, run
for cell in GATES:
    for sizes, hidden, _ in SHAPES[:3]:
        given = inputs(cell, sizes, hidden, 0, "float32")
        for a, b in zip(run(native, given, True), run(reference, given, True), strict=True):
            assert a is None or np.allclose(a, b, 1e-4, 1e-4)
"""


@pytest.mark.parametrize("level", ["sse2", "avx2"])
def test_lower_cpu_levels(level):
    environment = dict(os.environ, RUSHLIGHT_CPU=level)
    done = subprocess.run([sys.executable, "-c", LEVEL], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
