"""Ops on runs of rows of different lengths."""

from rushlight.ops.creation import full
from rushlight.ops.extremum import amax, amin
from rushlight.ops.joining import cat, stack
from rushlight.ops.linalg import matmul
from rushlight.ops.reduction import prod
from rushlight.ops.reduction import sum as sum_
from rushlight.ops.registry import op
from rushlight.tensor import Tensor

#: What a segment without elements gives, before `initial`.
_OF_NOTHING = {"sum": 0.0, "mean": float("nan"), "prod": 1.0, "max": -float("inf"), "min": float("inf")}
_OTHER_NAMES = {"amax": "max", "amin": "min"}


@op(method=False)
def segment_reduce(
    data,
    reduce: str,
    *,
    lengths=None,
    indices=None,
    offsets=None,
    axis: int = 0,
    unsafe: bool = False,
    initial=None,
) -> Tensor:
    """One value for each segment of a dimension.

    Args:
        data: of a floating type.
        reduce: "sum", "mean", "prod", "max" or "min".
        lengths: the segments' lengths; before `axis` the dimensions of `data`.
        indices: not supported.
        offsets: where segments begin, and the last ends, instead of `lengths`.
        axis: the dimension.
        unsafe: do not check that the lengths fill the dimension.
        initial: a value that takes part in each segment.
    Returns:
        The dimension `axis` has as many elements as there are segments.

    >>> import rushlight as torch
    >>> torch.segment_reduce(torch.tensor([1.0, 2.0, 3.0]), "sum", lengths=torch.tensor([1, 2]))
    tensor([1., 5.])
    """
    reduce = _OTHER_NAMES.get(reduce, reduce)
    if reduce not in _OF_NOTHING:
        raise ValueError(f"segment_reduce: reduce must be one of {', '.join(_OF_NOTHING)}, got {reduce!r}")
    if indices is not None:
        raise NotImplementedError(
            "segment_reduce: indices are not supported; give lengths, or use scatter_reduce"
        )
    if (lengths is None) == (offsets is None):
        raise RuntimeError("segment_reduce: Either lengths or offsets must be defined")
    lengths = offsets.diff(dim=-1) if lengths is None else lengths
    axis %= data.dim()
    if lengths.dim() != axis + 1:
        raise RuntimeError(f"segment_reduce: expected lengths of {axis + 1} dimensions, got {lengths.dim()}")
    if axis:
        rows = [
            segment_reduce(d, reduce, lengths=n, axis=axis - 1, unsafe=unsafe, initial=initial)
            for d, n in zip(data, lengths, strict=True)
        ]
        return stack(rows)
    sizes = lengths.tolist()
    if not unsafe and (min(sizes, default=0) < 0 or sum(sizes) != data.shape[0]):
        raise RuntimeError(
            "segment_reduce: Expected all rows of lengths along axis to sum to data.size(axis)"
        )
    return stack([_reduced(part, reduce, initial) for part in data[: sum(sizes)].split(sizes)])


def _reduced(part: Tensor, reduce: str, initial) -> Tensor:
    """One segment's value."""
    if not part.shape[0]:
        value = _OF_NOTHING[reduce] if initial is None else initial
        return full(part.shape[1:], value, dtype=part.dtype)
    count = part.shape[0]
    if initial is not None:
        part = cat([full((1, *part.shape[1:]), initial, dtype=part.dtype), part])
    if reduce == "mean":
        return sum_(part, 0) / count
    return {"sum": sum_, "prod": prod, "max": amax, "min": amin}[reduce](part, 0)


@op(method=False)
def grouped_mm(mat_a, mat_b, *, offs=None, bias=None, out_dtype=None) -> Tensor:
    """Matrix products of groups, such as those of the experts of a mixture, whose numbers of rows differ.

    Args:
        mat_a: (rows, K) divided by `offs`, or (groups, rows, K).
        mat_b: (groups, K, N), or (K, columns) divided by `offs`; with two matrices, K is divided.
        offs: where groups end along the dimension that is divided, (groups,).
        bias: not supported.
        out_dtype: that of the inputs where None.
    Returns:
        (rows, N), (groups, rows, N) or (rows, columns).

    >>> import rushlight as torch
    >>> x, w = torch.ones(3, 2), torch.stack([torch.eye(2), 2 * torch.eye(2)])
    >>> torch.nn.functional.grouped_mm(x, w, offs=torch.tensor([1, 3])).tolist()
    [[1.0, 1.0], [2.0, 2.0], [2.0, 2.0]]
    """
    if bias is not None:
        raise NotImplementedError("grouped_mm: bias is not supported; add it to the result")
    if (offs is None) != (mat_a.dim() == mat_b.dim() == 3):
        raise RuntimeError(
            "grouped_mm: Have to provide offsets if there is a 2d matrix, and none if both are 3d"
        )
    if offs is None:
        result = matmul(mat_a, mat_b)
    else:
        ends = offs.tolist()
        runs = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        if mat_a.dim() == mat_b.dim() == 2:
            result = stack([matmul(mat_a[:, run], mat_b[run]) for run in runs])
        elif mat_a.dim() == 2:
            result = cat([matmul(mat_a[run], b) for run, b in zip(runs, mat_b, strict=True)])
        else:
            result = cat([matmul(a, mat_b[:, run]) for run, a in zip(runs, mat_a, strict=True)], 1)
    return result if out_dtype is None else result.to(out_dtype)
