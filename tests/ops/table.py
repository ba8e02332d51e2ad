"""The form of the op tables: `Row`, and the inputs it names.

A family's table is a module `table_<family>.py` with a list `ROWS`. One runner, `test_ops.py`, checks every row
against PyTorch (value, dtype, shape, gradient, second derivative, layouts, zero-size inputs, wrong inputs) and against
finite differences.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class T:
    """A float tensor input: its shape, the range its values are drawn from, and whether gradients are checked."""

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    grad: bool = True

    def make(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the values, in float64."""
        return rng.uniform(self.low, self.high, self.shape)


@dataclass(frozen=True)
class C(T):
    """A complex tensor input, both parts drawn from the range."""

    def make(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the values, in complex128."""
        return rng.uniform(self.low, self.high, self.shape) + 1j * rng.uniform(
            self.low, self.high, self.shape
        )


@dataclass(frozen=True)
class I:  # noqa: E742
    """An integer tensor input with values in [low, high)."""

    shape: tuple[int, ...]
    high: int = 10
    low: int = 0
    dtype: str = "int64"
    grad: bool = False

    def make(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the values."""
        return rng.integers(self.low, self.high, self.shape).astype(self.dtype)


@dataclass(frozen=True)
class B:
    """An input of truth values."""

    shape: tuple[int, ...]
    grad: bool = False

    def make(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the values."""
        return rng.integers(0, 2, self.shape).astype(bool)


@dataclass(frozen=True)
class Row:
    """One sample of one op.

    Args:
        name: the op's public name (its key in `OPS`).
        call: takes the framework's module (`torch` or `rushlight`) and the inputs.
        inputs: what it is called on.
        grad: whether the gradient is compared; grad2: also the second derivative.
        tol: the relative and absolute tolerance in float64; float32 gets 1e-5 or more.
        dtypes: the float types in which the value is compared.
        fd: whether the gradient is compared with finite differences.
        layouts: whether to try non-contiguous and channels-last inputs.
        wrong: calls on the framework's module that must raise the same exception type in both.
        id: distinguishes rows of one op.
    """

    name: str
    call: Callable
    inputs: tuple = ()
    grad: bool = True
    grad2: bool = True
    tol: float = 1e-9
    tol32: float = 1e-5
    dtypes: tuple[str, ...] = ("float64", "float32")
    fd: bool = True
    layouts: bool = True
    wrong: tuple[Callable, ...] = ()
    id: str = ""

    def arrays(self, dtype: str) -> list[np.ndarray]:
        """The inputs, the same for each run; floats in the given type."""
        rng = np.random.default_rng(zlib.crc32(f"{self.name}{self.id}".encode()))
        made = [spec.make(rng) for spec in self.inputs]
        kind = {"c": "complex128" if dtype == "float64" else "complex64", "f": dtype}
        return [a.astype(kind[a.dtype.kind]) if a.dtype.kind in kind else a for a in made]
