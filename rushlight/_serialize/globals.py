"""The names that PyTorch's files use, and what they mean here: one table for reading and writing."""

from collections import Counter, OrderedDict
from importlib import import_module

from rushlight import devices, dtypes
from rushlight._serialize.storage import STORAGE_TYPES, UNTYPED, tensor_of
from rushlight.devices import Size, device
from rushlight.tensor import Tensor


def _rebuild_tensor(storage, storage_offset, size, stride):
    return tensor_of(storage, storage_offset, size, stride)


def _rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None):
    return _finish(tensor_of(storage, storage_offset, size, stride), requires_grad, metadata)


def _rebuild_tensor_v3(
    storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype, metadata=None
):
    return _finish(tensor_of(storage, storage_offset, size, stride, dtype), requires_grad, metadata)


def _finish(tensor: Tensor, requires_grad, metadata) -> Tensor:
    for lazy, operation in (("conj", Tensor.conj), ("neg", Tensor.neg)):
        if isinstance(metadata, dict) and metadata.get(lazy):
            tensor = operation(tensor)
    return tensor.requires_grad_() if requires_grad else tensor


def _rebuild_parameter(data, requires_grad, backward_hooks):
    return parameter_class()(_checked(data), bool(requires_grad))


def _rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    parameter = parameter_class()(_checked(data), bool(requires_grad))
    return _with_state(parameter, state)


def _rebuild_from_type_v2(func, new_type, args, state):
    if func not in (*_REBUILDERS, _rebuild_njt) or not (
        isinstance(new_type, type) and issubclass(new_type, Tensor)
    ):
        raise RuntimeError("rebuild_from_type: expected a function that rebuilds tensors, and a tensor type")
    tensor = func(*args)
    if tensor.is_nested:
        return tensor
    if type(tensor) is not new_type:
        from rushlight.tensor import wrap

        plain = tensor
        tensor = wrap(plain._array, new_type)
        tensor._rg, tensor._format = plain._rg, plain._format
    return _with_state(tensor, state)


def _with_state(tensor: Tensor, state) -> Tensor:
    """A tensor with the attributes that the user gave it; only such as live in its dictionary."""
    parts = state if isinstance(state, tuple) else (state,)
    for attributes in parts:
        if attributes and isinstance(attributes, dict):
            tensor.__dict__.update({k: v for k, v in attributes.items() if isinstance(k, str)})
    return tensor


def _rebuild_sparse_tensor(layout, data):
    if layout is not devices.sparse_coo or not isinstance(data, tuple) or len(data) not in (3, 4):
        raise RuntimeError(
            f"rebuild_sparse_tensor: expected the parts of a tensor of torch.sparse_coo, got {layout}"
        )
    from rushlight.ops.sparse import sparse_coo_tensor

    indices, values, size, *coalesced = data
    return sparse_coo_tensor(
        _checked(indices), _checked(values), tuple(size), is_coalesced=coalesced[0] if coalesced else None
    )


class Unread:
    """What only PyTorch's compiler wants, and files of jagged tensors have."""

    state: object = None


def _rebuild_njt(parts):
    from rushlight.nested.jagged import NestedTensor

    kept = ("values", "offsets", "lengths", "_ragged_idx", "requires_grad")
    if not isinstance(parts, dict) or not all(name in parts for name in kept):
        raise RuntimeError("rebuild_njt: expected the parts of a jagged tensor")
    return NestedTensor(**{name: parts[name] for name in kept})


def _rebuild_nested_tensor(buffer, sizes, strides, storage_offsets):
    from rushlight.nested.strided import strided

    sizes = _checked(sizes).tolist()
    values = _checked(buffer)
    places = zip(sizes, _checked(strides).tolist(), _checked(storage_offsets).tolist(), strict=True)
    pieces = [values.as_strided(*place).reshape(-1) for place in places]
    if pieces:
        from rushlight.ops.joining import cat

        values = cat(pieces)
    return strided(values, sizes, 1 + (len(sizes[0]) if sizes else 0))


def _checked(data) -> Tensor:
    if not isinstance(data, Tensor):
        raise RuntimeError(f"rebuild_parameter: expected a tensor, got {type(data).__name__}")
    return data


def _get_layout(name: str):
    if name not in ("torch.strided", "torch.sparse_coo", "torch.jagged"):
        raise RuntimeError(f"layout: expected torch.strided, torch.sparse_coo or torch.jagged, got {name!r}")
    return getattr(devices, name.removeprefix("torch."))


def parameter_class() -> type:
    """`nn.Parameter`, which lives above this layer."""
    return import_module("rushlight.nn.parameter").Parameter


def _make_bytearray(*args):
    if any(isinstance(a, int) for a in args):
        raise RuntimeError("bytearray: expected bytes, got a length")
    return bytearray(*args)


def _encode(text, encoding="latin1", errors="strict"):
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8", "utf8", "ascii"):
        raise RuntimeError("encode: expected text and a plain encoding")
    return text.encode(encoding, errors)


def _make_set(items=()):
    from rushlight._serialize.unpickler import check_key

    return set(map(check_key, items))


def _make_size(values=()):
    if not all(type(v) is int for v in values):
        raise RuntimeError("Size: expected ints")
    return Size(values)


_REBUILDERS = (
    _rebuild_tensor, _rebuild_tensor_v2, _rebuild_tensor_v3, _rebuild_parameter,
    _rebuild_parameter_with_state, _rebuild_sparse_tensor, _rebuild_nested_tensor,
)  # fmt: skip

# Everything that files may name by default: (module, name) in PyTorch -> what it is here.
GLOBALS: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter,
    ("torch", "Size"): Size,
    ("torch", "Tensor"): Tensor,
    ("torch", "device"): device,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytearray"): bytearray,
    ("builtins", "set"): set,
    ("builtins", "complex"): complex,
    ("torch.serialization", "_get_layout"): _get_layout,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type_v2,
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"): _rebuild_njt,
    ("torch.nested._internal.nested_tensor", "NestedTensor"): Tensor,
    ("torch._dynamo.decorators", "_DimRange"): Unread,
    ("torch.storage", "UntypedStorage"): UNTYPED,
    ("torch", "UntypedStorage"): UNTYPED,
    **{("torch._utils", f.__name__): f for f in _REBUILDERS},
    **{("torch", d.name): d for d in dtypes.ALL},
    **{("torch", s.name): s for s in STORAGE_TYPES.values() if s is not UNTYPED},
}

# Which of them may be called, and by what.
CALLS: dict[object, object] = {
    OrderedDict: OrderedDict,
    Counter: Counter,
    Size: _make_size,
    device: device,
    _encode: _encode,
    bytearray: _make_bytearray,
    set: _make_set,
    complex: complex,
    _get_layout: _get_layout,
    _rebuild_from_type_v2: _rebuild_from_type_v2,
    _rebuild_njt: _rebuild_njt,
    **{f: f for f in _REBUILDERS},
}

# The way back, for writing; the other names of the same thing are for reading only.
NAMES: dict[int, tuple[str, str]] = {}
for _name, _value in GLOBALS.items():
    if _name[0].startswith("torch"):
        NAMES.setdefault(id(_value), _name)


def resolve(module: str, name: str):
    """What a name in PyTorch's modules means here.

    Args:
        module: begins with "torch".
        name: dotted where it is nested.
    Raises:
        AttributeError: there is nothing of that name.
    """
    if (module, name) in GLOBALS:
        return GLOBALS[module, name]
    if (module, name) == ("torch.nn.parameter", "Parameter"):
        return parameter_class()
    place = "rushlight" + module[len("torch") :]
    while place:
        try:
            found = import_module(place)
            for part in name.split("."):
                found = getattr(found, part)
            return found
        except (ImportError, AttributeError):
            place = place.rpartition(".")[0]
    raise AttributeError(f"the file needs {module}.{name}, which Rushlight does not have")


#: Layers that PyTorch has in another file than others of ours beside them.
_ELSEWHERE = {
    "PixelShuffle": "pixelshuffle", "PixelUnshuffle": "pixelshuffle", "ChannelShuffle": "channelshuffle",
    "LinearCrossEntropyLoss": "loss", "Upsample": "upsampling", "UpsamplingNearest2d": "upsampling",
    "UpsamplingBilinear2d": "upsampling", "MultiheadAttention": "activation",
}  # fmt: skip


def public_name(obj, name: str) -> tuple[str, str] | None:
    """The name in PyTorch's modules of a class or function of ours; None where it has no public one."""
    parts = obj.__module__.split(".")
    layers = import_module("rushlight.nn.modules").PATHS if parts[:2] == ["rushlight", "nn"] else {}
    files = [path for path, module in layers.items() if module.__name__ == obj.__module__]
    if files:  # PyTorch's layers know these paths only
        return f"torch.nn.modules.{_ELSEWHERE.get(name, files[0])}", name
    for i in range(1, len(parts) + 1):
        try:
            if getattr(import_module(".".join(parts[:i])), name, None) is obj:
                return ".".join(["torch", *parts[1:i]]), name
        except ImportError:
            continue
    return None
