"""Nested tensors: batches of tensors of different sizes, without padding.

Two layouts: `torch.strided`, of pieces of any sizes, and `torch.jagged`, where one dimension differs and most functions
work. Both are handles on one packed tensor, through which gradients flow.
"""

from rushlight import devices
from rushlight.autograd import no_grad
from rushlight.nested import jagged_ops, reductions, strided_ops  # noqa: F401  (they list what functions do)
from rushlight.nested.jagged import from_list, jagged
from rushlight.nested.sizes import Cuts
from rushlight.nested.strided import from_pieces, strided
from rushlight.nested.tensor import Nested
from rushlight.ops.creation import arange
from rushlight.ops.data import as_tensor
from rushlight.ops.data import tensor as new_tensor
from rushlight.ops.joining import cat
from rushlight.tensor import Tensor

__all__ = [
    "as_nested_tensor",
    "masked_select",
    "narrow",
    "nested_tensor",
    "nested_tensor_from_jagged",
    "to_padded_tensor",
]


def nested_tensor(
    tensor_list, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
) -> Tensor:
    """A nested tensor of copies of tensors; it is a leaf, and no gradient flows to these.

    Args:
        tensor_list: tensors of one number of dimensions, or lists of numbers.
        dtype: the type of its elements; by default that of the first.
        layout: `torch.strided` (the default), or `torch.jagged`, where one dimension may differ.
        device: the CPU.
        requires_grad: whether gradients flow to it.
        pin_memory: as for `torch.tensor`.
    Raises:
        RuntimeError: the tensors do not fit together in this layout.

    >>> import rushlight as torch
    >>> torch.nested.nested_tensor([torch.zeros(2), torch.ones(3)])
    nested_tensor([
      tensor([0., 0.]),
      tensor([1., 1., 1.])
    ])
    >>> torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], layout=torch.jagged).offsets()
    tensor([0, 2, 5])
    """
    build = _builder(layout)
    if build is from_pieces and not isinstance(tensor_list, list | tuple):
        raise TypeError(
            "Only lists (List[Tensor] and List[List...[Scalar]]) are accepted in nested_tensor, got "
            f"{type(tensor_list).__name__}"
        )
    with no_grad():
        pieces = [t if isinstance(t, Tensor) else new_tensor(t, dtype=dtype) for t in tensor_list]
        made = build(pieces, dtype=dtype, device=device)
    made._values = made._values.detach()
    if pin_memory:
        made = made.pin_memory()
    return made.requires_grad_(requires_grad) if requires_grad else made


def _builder(layout):
    if layout in (None, devices.strided):
        return from_pieces
    if layout is devices.jagged:
        return from_list
    raise RuntimeError(
        f"Specified layout is unsupported for nested tensors: {layout}. Use torch.strided or torch.jagged."
    )


def as_nested_tensor(ts, dtype=None, device=None, layout=None) -> Tensor:
    """A nested tensor of tensors, through which gradients flow to them.

    Args:
        ts: tensors of one number of dimensions, in a list or tuple; or one tensor, whose first dimension is the batch;
            or a nested tensor.
        dtype: the type of its elements; by default that of the first.
        device: the CPU.
        layout: `torch.strided` (the default) or `torch.jagged`.
    Raises:
        TypeError: `ts` is neither tensors nor a list of them.
        RuntimeError: the tensors do not fit together in this layout; or `ts` is nested in another.

    >>> import rushlight as torch
    >>> a = torch.ones(2, requires_grad=True)
    >>> torch.nested.as_nested_tensor([a, torch.ones(1)]).to_padded_tensor(0.0).sum().backward()
    >>> a.grad
    tensor([1., 1.])
    """
    if isinstance(ts, list | tuple) and all(isinstance(t, Tensor) for t in ts):
        return _builder(layout)(list(ts), dtype=dtype, device=device)
    if not isinstance(ts, Tensor):
        raise TypeError(
            "as_nested_tensor(): Expected first argument to be a tensor or a list / tuple of tensors, got "
            f"{type(ts).__name__}"
        )
    if isinstance(ts, Nested):
        if layout is not ts.layout:
            raise RuntimeError(
                "as_nested_tensor(): Converting between nested tensor layouts is not supported; pass nt.unbind() "
                f"(expected {ts.layout}, got {layout})"
            )
        return ts.to(device=device, dtype=dtype)
    if ts.dim() < 2:
        raise RuntimeError(f"as_nested_tensor(): Expected tensor argument to have dim() > 1, got {ts.dim()}")
    build, n = _builder(layout), len(ts)
    if build is from_pieces:
        return strided(ts.reshape(-1).to(device=device, dtype=dtype), [ts.shape[1:]] * n, ts.dim())
    values = ts.contiguous().flatten(0, 1).to(device=device, dtype=dtype)
    return jagged(values, Cuts(arange(n + 1) * ts.shape[1]))


def nested_tensor_from_jagged(
    values, offsets=None, lengths=None, jagged_dim=None, min_seqlen=None, max_seqlen=None
) -> Tensor:
    """A nested tensor of the layout `torch.jagged` on a packed tensor, without a copy.

    Args:
        values: (sum of the lengths, ...): the pieces, one after another.
        offsets: (pieces + 1,): where each begins; the last is the end.
        lengths: (pieces,): how long each is; with `offsets` too there may be holes between them.
        jagged_dim: the number of the ragged dimension of the result; 1 by default.
        min_seqlen, max_seqlen: the lengths of the shortest and the longest; found out here anyway.
    Raises:
        RuntimeError: neither offsets nor lengths are given.
        ValueError: `jagged_dim` is less than 1.

    >>> import rushlight as torch
    >>> nt = torch.nested.nested_tensor_from_jagged(torch.arange(5.0), torch.tensor([0, 2, 5]))
    >>> nt.unbind()
    (tensor([0., 1.]), tensor([2., 3., 4.]))
    """
    if offsets is None:
        if lengths is None:
            raise RuntimeError("nested_tensor_from_jagged(): At least one of offsets or lengths is required.")
        offsets, lengths = cat([lengths.new_zeros(1), lengths.cumsum(0)]), None
    if jagged_dim is not None and jagged_dim < 1:
        raise ValueError(f"Expected jagged_dim >=1, but got {jagged_dim}.")
    return jagged(values.view_as(values), Cuts(offsets, lengths), jagged_dim or 1)


def narrow(tensor, dim, start, length, layout=devices.strided) -> Tensor:
    """A nested tensor of a part of each row of a dense tensor.

    Args:
        tensor: (rows, ...).
        dim: the dimension in which parts are taken: 1 for the layout `torch.jagged`.
        start, length: where each part begins and how long it is: ints, or for the layout `torch.jagged` (rows,).
        layout: `torch.jagged`, for a view of `tensor`; `torch.strided` takes the same rows 0 to `length` only.
    Raises:
        RuntimeError: `dim`, `start` or `length` are not what the layout takes.

    >>> import rushlight as torch
    >>> rows = torch.arange(8).reshape(2, 4)
    >>> torch.nested.narrow(rows, 1, torch.tensor([0, 1]), torch.tensor([2, 3]), torch.jagged).unbind()
    (tensor([0, 1]), tensor([5, 6, 7]))
    """
    if layout is devices.strided:
        if not (isinstance(start, int) and isinstance(length, int)):
            raise RuntimeError(
                "start and length must be integers for the strided layout NT impl; use layout=torch.jagged"
            )
        return as_nested_tensor(tensor).narrow(dim, start, length)
    if layout is not devices.jagged:
        raise RuntimeError(f"Specified layout is unsupported for nested narrow: {layout}")
    if dim != 1:
        raise RuntimeError(f"jagged layout only supports dim=1, got {dim}")
    rows, longest = tensor.shape[:2]
    start, length = (as_tensor(n).reshape(-1) for n in (start, length))
    if any(n.numel() not in (1, rows) for n in (start, length)):
        raise RuntimeError(
            "When constructing a jagged nested tensor using narrow(), your start and length must be Tensors that "
            f"broadcast to input.shape[0] ({rows}), got {start.numel()} and {length.numel()}"
        )
    begins = start.expand(rows) + arange(rows) * longest
    length = length.expand(rows)
    offsets = cat([begins, begins[-1:] + length[-1:]])
    values = tensor.view(-1, *tensor.shape[2:])
    if offsets[1:-1].equal(begins[:-1] + length[:-1]):  # one part ends where the next begins
        return jagged(values[int(offsets[0]) : int(offsets[-1])], Cuts(offsets - offsets[0]))
    return jagged(values, Cuts(offsets, length))


def masked_select(tensor, mask) -> Tensor:
    """The elements of a dense tensor at which a mask is True, as a nested tensor of the layout `torch.jagged`.

    Args:
        tensor: (rows, ..., columns).
        mask: bool, of a shape that broadcasts to that of `tensor`.
    Returns:
        (rows, ragged): of each row of the last dimension what is selected.
    Raises:
        RuntimeError: one of them is not dense.

    >>> import rushlight as torch
    >>> x = torch.arange(6).reshape(2, 3)
    >>> torch.nested.masked_select(x, x % 2 == 0).unbind()
    (tensor([0, 2]), tensor([4]))
    """
    for what, t in (("tensor", tensor), ("mask", mask)):
        if t.layout is not devices.strided:
            raise RuntimeError(f"torch.nested.masked_select requires a strided {what}, given {t.layout}")
    counts = mask.expand(tensor.shape).sum(tensor.dim() - 1).view(-1)
    return jagged(tensor.masked_select(mask), Cuts(cat([counts.new_zeros(1), counts.cumsum(0)])))


def to_padded_tensor(input, padding, output_size=None) -> Tensor:
    """A dense tensor of the pieces of a nested one, each padded at its end.

    Args:
        input: the nested tensor.
        padding: the value of added elements.
        output_size: the size of the result; by default the largest sizes.
    Returns:
        (pieces, *largest sizes).
    Raises:
        RuntimeError: `output_size` is too small.

    >>> import rushlight as torch
    >>> nt = torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])
    >>> torch.nested.to_padded_tensor(nt, 0.0)
    tensor([[1., 0.],
            [1., 1.]])
    """
    return input.to_padded_tensor(padding, output_size)
