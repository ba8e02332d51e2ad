"""How the losses of a batch become one: PyTorch's helpers, which libraries of losses use."""

import warnings

_NUMBERS = {"none": 0, "mean": 1, "sum": 2}


def get_enum(reduction: str) -> int:
    """The number of a reduction: 0 for "none", 1 for "mean", 2 for "sum"; ValueError for any other."""
    if reduction not in _NUMBERS:
        raise ValueError(f"{reduction} is not a valid value for reduction: expected one of {list(_NUMBERS)}")
    return _NUMBERS[reduction]


def legacy_get_string(size_average, reduce, emit_warning: bool = True) -> str:
    """The reduction that the two older arguments stand for."""
    average, reduces = size_average is None or size_average, reduce is None or reduce
    reduction = ("mean" if average else "sum") if reduces else "none"
    if emit_warning:
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=2,
        )
    return reduction


def legacy_get_enum(size_average, reduce, emit_warning: bool = True) -> int:
    """The number of the reduction that the two older arguments stand for."""
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))
