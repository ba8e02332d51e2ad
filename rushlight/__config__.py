"""What runs the operations, as text for reports of bugs."""

import numpy as np

from rushlight import kernels as K
from rushlight.config import get_num_threads
from rushlight.version import __version__

__all__ = ["parallel_info", "show"]


def show() -> str:
    """The versions of what Rushlight is made of, one to a line.

    >>> import rushlight as torch
    >>> torch.__config__.show().splitlines()[0]
    'Rushlight built with:'
    """
    lines = [
        "Rushlight built with:",
        f"  - Rushlight {__version__}",
        f"  - NumPy {np.__version__}",
        f"  - Kernels: {K.NAME}",
    ]
    if K.NAME == "native":
        from rushlight import _native

        lines.append(f"  - CPU capability usage: {_native.cpu_level().upper()}")
    return "\n".join(lines) + "\n"


def parallel_info() -> str:
    """How many threads operations use."""
    return f"get_num_threads() : {get_num_threads()}\n"
