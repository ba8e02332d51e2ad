"""From a list of samples to a batch: tensors stacked, structures kept."""

import copy
import re
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from operator import attrgetter

import numpy as np

import rushlight as torch
from rushlight.autograd.grad_mode import MODE
from rushlight.tensor import Tensor, wrap

default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)

np_str_obj_array_pattern = re.compile(r"[SaUO]")  # kinds of arrays that are text or objects

_SHAPE, _DTYPE, _RECORDED = attrgetter("shape"), attrgetter("dtype"), attrgetter("_rg")


def _is_text(dtype: np.dtype) -> bool:
    return np_str_obj_array_pattern.match(dtype.kind) is not None


def _like_mapping(original: Mapping, values: dict):
    """A mapping of the same kind with these values; a dict where that cannot be made."""
    try:
        if isinstance(original, MutableMapping):
            result = copy.copy(original)  # keeps attributes and defaults
            result.update(values)
            return result
        return type(original)(values)
    except TypeError:
        return values


def _like_sequence(original: Sequence, values: list):
    """A sequence of the same kind with these values; a list where that cannot be made."""
    try:
        if isinstance(original, MutableSequence):
            result = copy.copy(original)
            for i, value in enumerate(values):
                result[i] = value
            return result
        return type(original)(values)
    except TypeError:
        return values


def default_convert(data):
    """NumPy arrays and scalars as tensors, inside whatever structure; all else as it is.

    Args:
        data: a sample.

    >>> import numpy as np
    >>> from rushlight.utils.data import default_convert
    >>> default_convert([np.array([0, 1]), "text"])
    [tensor([0, 1]), 'text']
    """
    if isinstance(data, Tensor | str | bytes):
        return data
    if isinstance(data, np.ndarray | np.generic):
        return data if _is_text(data.dtype) else torch.as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple):
        converted = [default_convert(d) for d in data]
        return type(data)(*converted) if hasattr(data, "_fields") else converted
    if isinstance(data, Sequence):
        return _like_sequence(data, [default_convert(d) for d in data])
    return data


def collate(batch, *, collate_fn_map: dict | None = None):
    """A batch of samples, with functions of the user's for types of the user's.

    Args:
        batch: a list of samples of the same structure.
        collate_fn_map: {type or tuple of types: function(list, collate_fn_map=...)}.
    Raises:
        TypeError: there is no way to put such samples together.
        RuntimeError: sequences of different lengths.
    """
    first = batch[0]
    functions = collate_fn_map or {}
    function = functions.get(type(first))
    if function is None:
        function = next((f for kind, f in functions.items() if isinstance(first, kind)), None)
    if function is not None:
        return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        columns = {key: collate([d[key] for d in batch], collate_fn_map=collate_fn_map) for key in first}
        return _like_mapping(first, columns)
    if isinstance(first, Sequence):
        named = isinstance(first, tuple) and hasattr(first, "_fields")
        if not named and len({len(sample) for sample in batch}) > 1:
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=False)]
        if named:
            return type(first)(*columns)
        return columns if isinstance(first, tuple) else _like_sequence(first, columns)
    raise TypeError(default_collate_err_msg_format.format(type(first)))


def collate_tensor_fn(batch, *, collate_fn_map: dict | None = None):
    """Tensors, stacked."""
    arrays = [t._array for t in batch]
    first = arrays[0]
    alike = len(set(map(_SHAPE, arrays))) == 1 and len(set(map(id, map(_DTYPE, arrays)))) == 1
    plain = set(map(type, batch)) == {Tensor}
    if not alike or not plain or (MODE.enabled and any(map(_RECORDED, batch))):
        try:
            return torch.stack(list(batch), 0)
        except RuntimeError as error:
            raise RuntimeError(
                f"{error}. Examples of different sizes need a collate_fn=..., for instance one that pads them"
            ) from None
    if not first.shape:
        return wrap(np.array(arrays))
    return wrap(np.concatenate(arrays).reshape(len(arrays), *first.shape))  # quicker than np.stack


def collate_numpy_array_fn(batch, *, collate_fn_map: dict | None = None):
    """NumPy arrays, stacked into a tensor."""
    if _is_text(batch[0].dtype):
        raise TypeError(default_collate_err_msg_format.format(batch[0].dtype))
    return collate([torch.as_tensor(b) for b in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch, *, collate_fn_map: dict | None = None):
    """NumPy numbers, as a tensor."""
    return torch.as_tensor(np.stack(batch) if isinstance(batch[0], np.generic) else batch)


def collate_float_fn(batch, *, collate_fn_map: dict | None = None):
    """Python floats, as a float64 tensor."""
    return torch.tensor(batch, dtype=torch.float64)


def collate_int_fn(batch, *, collate_fn_map: dict | None = None):
    """Python ints or bools, as a tensor."""
    return torch.tensor(batch)


def collate_str_fn(batch, *, collate_fn_map: dict | None = None):
    """Text, as it is."""
    return batch


default_collate_fn_map = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch):
    """A batch of samples: tensors stacked along a new first dimension, numbers as tensors, structures kept.

    Args:
        batch: a list of samples of the same structure.
    Raises:
        TypeError: there is no way to put such samples together.

    >>> from rushlight.utils.data import default_collate
    >>> default_collate([(0, "a"), (1, "b")])
    [tensor([0, 1]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
