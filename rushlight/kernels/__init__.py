"""Functions on raw NumPy arrays, in one flat namespace: `from rushlight import kernels as K; K.add(x, y)`.

The same functions exist twice, in parts: `reference` is plain NumPy (the oracle and the fallback), `cpu`
calls the compiled extension. `RUSHLIGHT_KERNELS=reference` or `native` chooses; by default it is native where
the extension is there. `NAME` says which was chosen.
"""

import os
import warnings
from importlib import import_module

PARTS = (
    "elementwise",
    "reduce",
    "dnn",
    "attention",
    "ctc",
    "optim",
    "random",
    "rnn",
    "sparse",
    "bessel",
    "implicit",
    "polynomials",
    "positions",
    "special",
    "vision",
)


def _choose() -> str:
    """The kernel set to use: `native` or `reference`."""
    wanted = os.environ.get("RUSHLIGHT_KERNELS", "")
    if wanted not in ("", "native", "reference"):
        raise ValueError(f"RUSHLIGHT_KERNELS: expected native or reference, got {wanted!r}")
    if wanted == "reference":
        return wanted
    try:
        import_module("rushlight._native")
    except ImportError as error:
        if wanted == "native":
            raise ImportError(
                f"RUSHLIGHT_KERNELS=native, but the native kernels cannot be loaded: {error}"
            ) from error
        warnings.warn(
            f"rushlight runs on its slow NumPy kernels: the native ones cannot be loaded ({error}). "
            "Reinstall it where there is a C++ compiler, or set RUSHLIGHT_KERNELS=reference to silence this.",
            RuntimeWarning,
            stacklevel=2,
        )
        return "reference"
    return "native"


def _exports() -> dict:
    """Every function of the chosen set, by name."""
    found: dict = {}
    folder = "cpu" if NAME == "native" else "reference"
    for part in PARTS:
        module = import_module(f"rushlight.kernels.{folder}.{part}")
        for name in module.__all__:
            if name in found:
                raise ImportError(f"the kernel {name} is defined in two parts")
            found[name] = getattr(module, name)
    return found


NAME = _choose()
globals().update(_exports())
