"""`MaskedTensor`: a tensor beside a mask that says which of its elements count, and gradients with masks likewise.

It is a handle on two ordinary tensors, dense or sparse, and a node of the graph. Functions come here through
`__torch_function__` (`rushlight/overrides.py`), switched on when the first masked tensor is made; `OPS` says what each
does, and `gradients.py` beside this file how gradients get their masks.
"""

import warnings

from rushlight import devices, overrides
from rushlight.dtypes import bool_, float16, float32, float64, int8, int16, int32, int64
from rushlight.handle import TensorBase
from rushlight.ops.sparse import sparse_coo_tensor
from rushlight.ops.sparse_csr import sparse_csr_tensor
from rushlight.tensor import Tensor

_DTYPES = {bool_, float16, float32, float64, int8, int16, int32, int64}
_PROTOTYPE = (
    "The PyTorch API of MaskedTensors is in prototype stage and will change in the near future. Please open a Github "
    "issue for features requests and see our documentation on the torch.masked module for further information about "
    "the project."
)


class MaskedTensor(Tensor, asked_at_once=False):
    """A tensor of which some elements do not count. Use `masked_tensor` or `as_masked_tensor` to make one.

    Args:
        data: the elements: dense, or sparse by places (COO) or in compressed rows (CSR).
        mask: bool, of the same shape and layout: True where an element counts.
        requires_grad: whether gradients flow to it.
    Raises:
        TypeError: one of them is no tensor, is masked, or has another type or layout than that.
        ValueError: their shapes or places differ.

    >>> import rushlight as torch
    >>> torch.masked.MaskedTensor(torch.tensor([1.0, 2.0]), torch.tensor([True, False])).sum()
    MaskedTensor(  1.0000, True)
    """

    _adds_itself = True
    _masked_data: Tensor
    _masked_mask: Tensor

    def __new__(cls, data, mask, requires_grad=False):
        return _checked(cls, data, mask, requires_grad, 3)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """What a function does with masked tensors."""
        from rushlight.masked.maskedtensor.masked_ops import handler

        name, args, kwargs = overrides.call_of(func, args, kwargs)
        if func in overrides.get_default_nowrap_functions():
            return overrides.own_way(func, args, kwargs)
        found = handler(name)
        if found is not None:
            return found(func, *args, **kwargs)
        own = overrides.own_method(cls, name)
        if own is not None:
            return own(*args, **kwargs)
        try:
            return overrides.own_way(func, args, kwargs)
        except overrides.NoMemory:
            raise unsupported(name) from None

    def get_data(self) -> Tensor:
        """The elements, also those that do not count; gradients flow back with the mask."""
        from rushlight.masked.maskedtensor.gradients import unmasked

        return unmasked(self)

    def get_mask(self) -> Tensor:
        """Where elements count."""
        return self._masked_mask

    def to_tensor(self, value) -> Tensor:
        """The elements as an ordinary tensor, with `value` where they do not count."""
        return self.get_data().masked_fill(~self._masked_mask, value)

    def is_sparse_coo(self) -> bool:
        """Whether it holds its elements by their places."""
        return self.layout is devices.sparse_coo

    def is_sparse_csr(self) -> bool:
        """Whether it is a matrix in compressed rows."""
        return self.layout is devices.sparse_csr

    # -- the handle ---------------------------------------------------------------------------------

    @property
    def _array(self):
        raise overrides.NoMemory(
            "a masked tensor has no array of its own; use its get_data() or to_tensor(0)"
        )

    @property
    def _data(self):
        return values_of(self._masked_data)._array

    shape = property(lambda self: self._masked_data.shape)
    dtype = property(lambda self: self._masked_data.dtype)
    is_meta = property(lambda self: self._masked_data.is_meta)
    layout = property(lambda self: self._masked_data.layout)
    itemsize = property(lambda self: self._masked_data.itemsize)
    nbytes = property(lambda self: self.numel() * self.itemsize)
    ndim = property(lambda self: self.dim())
    is_sparse = property(lambda self: self.layout is not devices.strided)
    data = property(lambda self: self.detach())

    def size(self, dim: int | None = None):
        """Its dimensions, or the one numbered `dim`."""
        return self._masked_data.size() if dim is None else self._masked_data.size(dim)

    def dim(self) -> int:
        """The number of its dimensions."""
        return self._masked_data.dim()

    def __len__(self) -> int:
        return len(self._masked_data)

    def numel(self) -> int:
        """The number of its elements, also those that do not count."""
        return self._masked_data.numel()

    def element_size(self) -> int:
        """Bytes per element."""
        return self._masked_data.element_size()

    def stride(self, dim: int | None = None):
        """The strides of its elements."""
        return self._masked_data.stride() if dim is None else self._masked_data.stride(dim)

    def is_contiguous(self, memory_format=devices.contiguous_format) -> bool:
        """Whether its elements lie in order."""
        if self.is_sparse:
            raise ValueError("MaskedTensors with sparse data do not have is_contiguous")
        return self._masked_data.is_contiguous(memory_format=memory_format)

    def data_ptr(self) -> int:
        """0: it has no memory of its own."""
        return 0

    def detach(self) -> "MaskedTensor":
        """The same elements and mask, through which no gradient flows."""
        return made(self._masked_data.detach(), self._masked_mask)

    _share = detach

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            copied = made(self._masked_data.detach().clone(), self._masked_mask.clone())
            copied._rg = self._rg
            copied._grad = None if self._grad is None else self._grad.__deepcopy__(memo)
            memo[id(self)] = copied
        return memo[id(self)]

    def item(self):
        """Its only element as a Python number.

        Raises:
            ValueError: the element does not count.
        """
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        if not self._masked_mask.item():
            raise ValueError(
                "__torch_dispatch__, aten._local_scalar_dense: expected a mask tensor: the element is masked out"
            )
        return self._masked_data.item()

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __iter__(self):
        raise unsupported("unbind")

    def tolist(self):
        """Raises RuntimeError, as PyTorch."""
        raise RuntimeError(
            ".tolist() is not supported for tensor subclasses, got MaskedTensor. Use mt.to_tensor(value).tolist()."
        )

    def numpy(self, *, force: bool = False):
        """Raises RuntimeError, as PyTorch."""
        raise RuntimeError(
            ".numpy() is not supported for tensor subclasses. Use mt.to_tensor(value).numpy()."
        )

    def __array__(self, *args, **kwargs):
        return self.numpy()

    def __add__(self, other):
        from rushlight.masked.maskedtensor.masked_ops import pointwise

        return pointwise(Tensor.__add__, self, other)

    __radd__ = __add__  # spelt out because the backward pass, which asks no class, adds gradients

    def __repr__(self) -> str:
        if self.dim() == 0:
            counts = self._masked_mask.item()
            return f"MaskedTensor({_shown(self._masked_data.item()) if counts else '--'}, {counts})"
        data, mask = (t.to_dense() if self.is_sparse else t for t in (self._masked_data, self._masked_mask))
        lines = _rows(data.tolist(), mask.tolist(), self.dim())
        return "MaskedTensor(\n" + "\n".join("  " + line for line in lines) + "\n)"

    __str__ = __repr__

    def __format__(self, spec) -> str:
        return object.__format__(self, spec)


def values_of(t: Tensor) -> Tensor:
    """The elements that are there: all of a dense tensor, the values of a sparse one."""
    return t if t.layout is devices.strided else t.values()


def with_values(t: Tensor, values: Tensor) -> Tensor:
    """A tensor of the layout and the places of another, with these values."""
    if t.layout is devices.sparse_coo:
        return sparse_coo_tensor(t.indices(), values, t.shape, is_coalesced=True)
    if t.layout is devices.sparse_csr:
        return sparse_csr_tensor(t.crow_indices(), t.col_indices(), values, t.shape)
    return values


def places(t: Tensor) -> tuple:
    """The tensors that say where the values of a sparse tensor are."""
    if t.layout is devices.sparse_coo:
        return (t.indices(),)
    return (t.crow_indices(), t.col_indices()) if t.layout is devices.sparse_csr else ()


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two masks are equal, of one layout and with the same places."""
    pairs = zip((*places(a), values_of(a)), (*places(b), values_of(b)), strict=True)
    return a.layout is b.layout and all(x.equal(y) for x, y in pairs)


def made(data: Tensor, mask: Tensor) -> MaskedTensor:
    """A masked tensor on these very tensors, outside the graph."""
    if data.dtype not in _DTYPES:
        raise TypeError(f"{data.dtype} is not supported in MaskedTensor.")
    overrides.enable()
    found = TensorBase.__new__(MaskedTensor)
    found._masked_data, found._masked_mask = data, mask
    return found


def _checked(cls: type, data, mask, requires_grad: bool, level: int) -> MaskedTensor:
    for what, t in (("data", data), ("mask", mask)):
        if isinstance(t, MaskedTensor) or not isinstance(t, Tensor):
            raise TypeError(f"{what} must be a Tensor")
    warnings.warn(_PROTOTYPE, UserWarning, stacklevel=level)
    if data._rg:
        warnings.warn(
            "It is not recommended to create a MaskedTensor with a tensor that requires_grad. To avoid this, you can use "
            "data.detach().clone()",
            UserWarning,
            stacklevel=level,
        )
    if data.layout is not mask.layout:
        raise TypeError("data and mask must have the same layout.")
    data = data.detach()
    if data.layout is devices.sparse_coo:
        data, mask = data.coalesce(), mask.coalesce()
    if mask.dtype is not bool_:
        raise TypeError("mask must have dtype bool.")
    if data.dim() != mask.dim():
        raise ValueError("data.dim() must equal mask.dim()")
    if data.shape != mask.shape:
        raise ValueError("data.size() must equal mask.size()")
    if data.layout is not devices.strided:
        data = _at_places_of(mask, data)
    found = made(*(with_values(t, values_of(t).clone()) for t in (data, mask)))
    found.__class__ = cls
    return found.requires_grad_() if requires_grad else found


def _at_places_of(mask: Tensor, data: Tensor) -> Tensor:
    """Sparse data with the places of a sparse mask, where it has more or less of them."""
    if data._nnz() != mask._nnz():
        kept = data.to_dense() * mask.to_dense()
        return with_values(mask, kept.sparse_mask(mask.to_sparse().coalesce()).values())
    if not all(x.equal(y) for x, y in zip(places(data), places(mask), strict=True)):
        kind, what = (
            ("COO", "have the same indices")
            if data.is_sparse
            else ("CSR", "share either crow or col indices")
        )
        raise ValueError(f"data and mask are both sparse {kind} tensors but do not {what}.")
    return data


def _shown(value) -> str:
    return f"{value:8.4f}" if isinstance(value, float) else str(value)


def _rows(data: list, mask: list, dim: int) -> list:
    """The lines of the printed form."""
    if dim == 1:
        texts = [_shown(value) for value in data]
        width = max((len(text) if counts else 8 for text, counts in zip(texts, mask, strict=True)), default=0)
        cells = [text if counts else "--".rjust(width) for text, counts in zip(texts, mask, strict=True)]
        return ["[" + ", ".join(cells) + "]"]
    parts = [["  " + line for line in _rows(d, m, dim - 1)] for d, m in zip(data, mask, strict=True)]
    for part in parts[:-1]:
        part[-1] += ","
    return ["[", *(line for part in parts for line in part), "]"]


def unsupported(name: str) -> TypeError:
    """What is raised where masked tensors do not have a function."""
    warnings.warn(
        f"{name} is not implemented in __torch_dispatch__ for MaskedTensor.\nIf you would like this operator to be "
        "supported, use mt.get_data() and mt.get_mask(), and make a masked tensor of what you get.",
        stacklevel=4,
    )
    return TypeError(
        f"no implementation of '{name}' for MaskedTensor: call it on mt.get_data() or mt.to_tensor(value), and pass the "
        "result on with masked_tensor(result, mask)"
    )


def is_masked_tensor(obj, /) -> bool:
    """Whether it is a masked tensor.

    >>> import rushlight as torch
    >>> torch.masked.is_masked_tensor(torch.ones(2))
    False
    """
    return isinstance(obj, MaskedTensor)


def masked_tensor(data, mask, requires_grad=False) -> MaskedTensor:
    """A masked tensor of copies; it is a leaf, and no gradient flows to `data`. Arguments as those of `MaskedTensor`.

    >>> import rushlight as torch
    >>> torch.masked.masked_tensor(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, True]))
    MaskedTensor(
      [  1.0000,       --,   3.0000]
    )
    """
    return _checked(MaskedTensor, data, mask, requires_grad, 3)


def as_masked_tensor(data, mask) -> MaskedTensor:
    """A masked tensor through which gradients, masked likewise, flow to `data`. Arguments as those of `MaskedTensor`.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> torch.masked.as_masked_tensor(x / torch.tensor([0.0, 1.0]), torch.tensor([False, True])).sum().backward()
    >>> x.grad
    MaskedTensor(
      [      --,   1.0000]
    )
    """
    from rushlight.masked.maskedtensor.gradients import joined

    return joined(_checked(MaskedTensor, data, mask, False, 3), data)
