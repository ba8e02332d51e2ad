"""Tensors that say what they are, so that transforms (v2) know what to do with them: images, masks, boxes, points.

Operations on them give plain tensors, unless `set_return_type("TVTensor")` says otherwise; `clone`, `to`, `detach` and
`requires_grad_` keep the kind.

>>> import rushlight as torch
>>> from rushlight.vision import tv_tensors
>>> boxes = tv_tensors.BoundingBoxes([[1, 2, 5, 7]], format="XYXY", canvas_size=(10, 12))
>>> boxes
BoundingBoxes([[1, 2, 5, 7]], format=BoundingBoxFormat.XYXY, canvas_size=(10, 12), clamping_mode=soft)
>>> type(boxes + 1).__name__
'Tensor'
"""

import functools
import inspect
from enum import Enum

from rushlight.handle import wrap as make
from rushlight.ops.creation import as_tensor
from rushlight.tensor import Tensor, disabled_torch_function
from rushlight.vision.transforms import _functional_pil as F_pil

__all__ = [
    "BoundingBoxFormat",
    "BoundingBoxes",
    "Image",
    "KeyPoints",
    "Mask",
    "TVTensor",
    "Video",
    "is_rotated_bounding_format",
    "set_return_type",
    "wrap",
]

_KEEPING = ("clone", "detach", "pin_memory", "requires_grad_", "to")  # methods that keep the kind in any case
_RETURN = {"kind": False}


def as_kind(tensor: Tensor, cls: type):
    """The same memory as a tensor of a class: `as_subclass`, without its bookkeeping where no gradient flows."""
    return tensor.as_subclass(cls) if tensor._rg else make(tensor._array, cls)


class TVTensor(Tensor):
    """What all of them are; derive your own from it.

    A subclass names the attributes that travel with its tensors in `_metadata`, or overrides `wrap`.
    """

    __torch_function__ = disabled_torch_function
    _metadata: tuple[str, ...] = ()

    @staticmethod
    def _to_tensor(data, dtype=None, device=None, requires_grad=None) -> Tensor:
        if requires_grad is None:
            requires_grad = data.requires_grad if isinstance(data, Tensor) else False
        data = data.as_subclass(Tensor) if isinstance(data, TVTensor) else data
        return as_tensor(data, dtype=dtype, device=device).requires_grad_(requires_grad)

    @classmethod
    def wrap(cls, tensor, like, **kwargs):
        """`tensor` as one of this kind, with the attributes of `like` where `kwargs` doesn't give others."""
        made = as_kind(tensor, cls)
        for name in cls._metadata:
            setattr(made, name, kwargs.get(name, getattr(like, name)))
        return made

    def __deepcopy__(self, memo):
        return self.detach().clone().requires_grad_(self.requires_grad)

    def _make_repr(self, **kwargs) -> str:
        extra = ", ".join(f"{name}={value}" for name, value in kwargs.items())
        return f"{Tensor.__repr__(self)[:-1]}, {extra})"

    def __repr__(self, *, tensor_contents=None) -> str:
        return self._make_repr(**{name: getattr(self, name) for name in self._metadata})


def _rewrapping(name: str, method):
    """A method of tensors that gives plain ones, or ones of the same kind where that is asked for."""
    keeps = name in _KEEPING

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        out = method(self, *args, **kwargs)
        if isinstance(out, (tuple, list)) and _RETURN["kind"]:
            parts = [wrap(part, like=self) if isinstance(part, Tensor) else part for part in out]
            return type(out)(*parts) if hasattr(out, "_fields") else type(out)(parts)
        if not isinstance(out, Tensor):
            return out
        if keeps or _RETURN["kind"]:
            return out if out is self else wrap(out, like=self)
        return out.as_subclass(Tensor) if isinstance(out, TVTensor) else out

    return call


_BINARY = [
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift",
]  # fmt: skip
_UNARY = ["neg", "pos", "abs", "invert", "eq", "ne", "lt", "le", "gt", "ge", "getitem"]
_OPERATORS = {f"__{side}{name}__" for name in _BINARY for side in ("", "r", "i")}
_OPERATORS |= {f"__{name}__" for name in _UNARY}
for _name in dir(Tensor):
    _method = inspect.getattr_static(Tensor, _name)
    if (_name in _OPERATORS or not _name.startswith("_")) and _name not in ("as_subclass", "shape", "size"):
        if callable(_method) and not isinstance(_method, (type, staticmethod, classmethod)):
            setattr(TVTensor, _name, _rewrapping(_name, _method))
TVTensor.__hash__ = Tensor.__hash__


def wrap(wrappee, *, like, **kwargs):
    """A tensor as the kind that `like` is, with its attributes.

    Args:
        wrappee: the tensor.
        like: the reference.
        **kwargs: attributes, such as `canvas_size`, that are to be others.

    >>> from rushlight.vision import tv_tensors
    >>> tv_tensors.wrap(torch.zeros(1, 2), like=tv_tensors.KeyPoints([[1.0, 2.0]], canvas_size=(4, 4)))
    KeyPoints([[0., 0.]], canvas_size=(4, 4))
    """
    if hasattr(type(like), "wrap"):
        return type(like).wrap(wrappee, like, **kwargs)
    return wrappee.as_subclass(type(like))


class _Restore:
    """Sets the return type back where a `with` block ends."""

    def __init__(self, before: bool):
        self.before = before

    def __enter__(self):
        return self

    def __exit__(self, *error):
        _RETURN["kind"] = self.before


def set_return_type(return_type: str):
    """What methods and operators give on these tensors: "Tensor" (the default), or "TVTensor" for the same kind.

    For the whole program, or for the block of a `with`. Functions (`torch.add(image, 1)`) always give plain tensors.

    >>> from rushlight.vision import tv_tensors
    >>> mask = tv_tensors.Mask(torch.zeros(1, 2, 2))
    >>> with tv_tensors.set_return_type("TVTensor"):
    ...     type(mask + 1).__name__
    'Mask'
    """
    chosen = {"tensor": False, "tvtensor": True}.get(return_type.lower())
    if chosen is None:
        raise ValueError(f"return_type must be 'TVTensor' or 'Tensor', got {return_type}")
    before, _RETURN["kind"] = _RETURN["kind"], chosen
    return _Restore(before)


class _Pixels(TVTensor):
    """Pictures: made of tensors, arrays, lists, or Pillow images."""

    def __new__(cls, data, *, dtype=None, device=None, requires_grad=None):
        if F_pil._is_pil_image(data):
            from rushlight.vision.transforms.functional import pil_to_tensor

            data = pil_to_tensor(data)
        return cls._shaped(cls._to_tensor(data, dtype, device, requires_grad)).as_subclass(cls)

    @classmethod
    def _shaped(cls, tensor):
        return tensor


class Image(_Pixels):
    """An image, or a batch of them, of shape (..., C, H, W).

    Args:
        data: numbers, or a Pillow image; (H, W) becomes (1, H, W).
        dtype: the type; that of the data by default.
        device: the CPU.
        requires_grad: whether operations are recorded; as the data by default.
    """

    @classmethod
    def _shaped(cls, tensor):
        if tensor.ndim < 2:
            raise ValueError(f"Tensor must be 2D or higher, got {tensor.ndim}D tensor.")
        return tensor.unsqueeze(0) if tensor.ndim == 2 else tensor


class Mask(_Pixels):
    """Masks for segmentation or detection, of shape (..., H, W).

    Args:
        data: numbers, or a Pillow image.
        dtype: the type; that of the data by default.
        device: the CPU.
        requires_grad: whether operations are recorded; as the data by default.
    """

    def __repr__(self, *, tensor_contents=None) -> str:
        return Tensor.__repr__(self)


class Video(_Pixels):
    """A video, or a batch of them, of shape (..., T, C, H, W).

    Args:
        data: numbers.
        dtype: the type; that of the data by default.
        device: the CPU.
        requires_grad: whether operations are recorded; as the data by default.
    """

    @classmethod
    def _shaped(cls, tensor):
        if tensor.ndim < 4:
            raise ValueError(
                f"Video: a tensor of shape (..., T, C, H, W) expected, got {tuple(tensor.shape)}"
            )
        return tensor


class BoundingBoxFormat(Enum):
    """What the numbers of a box are: corners, or a corner or the centre with width and height.

    The formats with an angle in degrees (R), and that of four corners, are for rotated boxes.
    """

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"
    XYWHR = "XYWHR"
    CXCYWHR = "CXCYWHR"
    XYXYXYXY = "XYXYXYXY"


def parse_format(format) -> BoundingBoxFormat:
    """A format, or its name in either case, as the format."""
    return BoundingBoxFormat[format.upper()] if isinstance(format, str) else format


def is_rotated_bounding_format(format) -> bool:
    """Whether boxes of this format (or name of one) may be rotated."""
    if not isinstance(format, (str, BoundingBoxFormat)):
        raise ValueError(f"format should be str or BoundingBoxFormat, got {type(format)}")
    name = format if isinstance(format, str) else format.value
    return name in ("XYWHR", "CXCYWHR", "XYXYXYXY")


class BoundingBoxes(TVTensor):
    """Boxes in one picture, of shape (N, 4); rotated ones (N, 5) or (N, 8).

    Args:
        data: the numbers.
        format: a `BoundingBoxFormat`, or its name.
        canvas_size: (height, width) of the picture.
        clamping_mode: what happens to boxes that transforms move out of the picture: "soft" and "hard" cut them to it,
            None leaves them as they are.
        dtype: the type; that of the data by default.
        device: the CPU.
        requires_grad: whether operations are recorded; as the data by default.
    """

    _metadata = ("format", "canvas_size", "clamping_mode")

    def __new__(
        cls,
        data,
        *,
        format,
        canvas_size,
        clamping_mode="soft",
        dtype=None,
        device=None,
        requires_grad=None,
    ):
        tensor = cls._to_tensor(data, dtype, device, requires_grad)
        if not tensor.is_floating_point() and is_rotated_bounding_format(format):
            raise ValueError(f"Rotated bounding boxes should be floating point tensors, got {tensor.dtype}.")
        return cls._made(tensor, format, canvas_size, clamping_mode)

    @classmethod
    def _made(cls, tensor, format, canvas_size, clamping_mode):
        if tensor.ndim == 1:
            tensor = tensor.unsqueeze(0)
        elif tensor.ndim != 2:
            raise ValueError(f"Expected a 1D or 2D tensor, got {tensor.ndim}D")
        if clamping_mode not in (None, "hard", "soft"):
            raise ValueError(f"clamping_mode must be None, hard or soft, got {clamping_mode}.")
        boxes = tensor.as_subclass(cls)
        boxes.format, boxes.canvas_size, boxes.clamping_mode = (
            parse_format(format),
            canvas_size,
            clamping_mode,
        )
        return boxes


class KeyPoints(TVTensor):
    """Points in one picture, of shape (..., 2): x to the right and y downwards, in pixels.

    Args:
        data: the numbers.
        canvas_size: (height, width) of the picture.
        dtype: the type; that of the data by default.
        device: the CPU.
        requires_grad: whether operations are recorded; as the data by default.
    """

    _metadata = ("canvas_size",)

    def __new__(cls, data, *, canvas_size, dtype=None, device=None, requires_grad=None):
        tensor = cls._to_tensor(data, dtype, device, requires_grad)
        if tensor.ndim == 1:
            tensor = tensor.unsqueeze(0)
        elif tensor.shape[-1] != 2:
            raise ValueError(f"Expected a tensor of shape (..., 2), not {tensor.shape}")
        points = tensor.as_subclass(cls)
        points.canvas_size = canvas_size
        return points
