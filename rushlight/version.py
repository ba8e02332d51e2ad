"""The version of Rushlight, and those of things that it doesn't use."""

from typing import Final

__version__: Final = "0.1.0"
debug = False
cuda: Final = None
hip: Final = None
xpu: Final = None
