"""PyTorch's private name of the module that prints, from which other packages import."""

from rushlight.printing import OPTIONS as PRINT_OPTS
from rushlight.printing import body_of as _tensor_str
from rushlight.printing import get_printoptions, printoptions, set_printoptions
from rushlight.printing import tensor_repr as _str

__all__ = ["PRINT_OPTS", "_str", "_tensor_str", "get_printoptions", "printoptions", "set_printoptions"]
