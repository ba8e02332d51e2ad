"""Writes pickles that name PyTorch's things where they hold ours, so that PyTorch reads them."""

import pickle
import types
from collections import OrderedDict

from rushlight._serialize.globals import (
    NAMES,
    _get_layout,
    _rebuild_from_type_v2,
    _rebuild_nested_tensor,
    _rebuild_njt,
    _rebuild_parameter,
    _rebuild_parameter_with_state,
    _rebuild_sparse_tensor,
    _rebuild_tensor_v2,
    _rebuild_tensor_v3,
    parameter_class,
    public_name,
)
from rushlight._serialize.storage import STORAGE_TYPES, UNTYPED, StorageType
from rushlight.devices import Size, device, jagged, layout, memory_format
from rushlight.dtypes import dtype
from rushlight.storage import Memory, TypedStorage, UntypedStorage
from rushlight.tensor import Tensor


class _StorageOf:
    """Stands for a storage until its place in the file is written instead."""

    def __init__(self, identity: tuple):
        self.identity = identity


class Pickler(pickle._Pickler):
    """Python's own pickler, with PyTorch's names and with tensors' memory put aside.

    Args:
        stream, protocol: as Python's.
    Attributes:
        memories: what to write beside the pickle: the memory of storage number i is memories[i].
    """

    def __init__(self, stream, protocol: int):
        super().__init__(stream, protocol)
        self.memories: list[Memory] = []
        self._numbers: dict[tuple, int] = {}
        self._kinds: dict[tuple, dtype] = {}
        self._parameter = parameter_class()

    def persistent_id(self, obj):
        """Where a storage lies in the file."""
        if isinstance(obj, TypedStorage | UntypedStorage):
            return self._identity(Memory(obj._data), obj.dtype)
        return obj.identity if type(obj) is _StorageOf else None

    def reducer_override(self, obj):
        """How tensors, and what PyTorch has another name for, are written."""
        if isinstance(obj, Tensor):
            return self._reduce_tensor(obj)
        if isinstance(obj, dtype | memory_format | StorageType):
            return obj.name
        if isinstance(obj, layout):
            return _get_layout, (repr(obj),)
        if isinstance(obj, device):
            return device, (obj.type,) if obj.index is None else (obj.type, obj.index)
        if type(obj) is Size:
            return Size, (tuple(obj),)
        return NotImplemented

    def _reduce_tensor(self, tensor: Tensor):
        if tensor.is_sparse:
            if tensor.grad_fn is not None:
                tensor = tensor.detach()
            parts = tensor._indices(), tensor._values(), tensor.size(), tensor.is_coalesced()
            return _rebuild_sparse_tensor, (tensor.layout, parts)
        if tensor.is_nested:
            return self._reduce_nested(tensor)
        if isinstance(tensor, self._parameter):
            state = tensor._user_attributes()
            args = (tensor.data, tensor.requires_grad, OrderedDict())
            return (_rebuild_parameter_with_state, (*args, state)) if state else (_rebuild_parameter, args)
        function, args = self._reduce_plain(tensor)
        state = tensor._user_attributes()
        if type(tensor) is Tensor and not state:
            return function, args
        return _rebuild_from_type_v2, (function, type(tensor), args, state)

    def _reduce_nested(self, tensor: Tensor):
        values = tensor._values.detach()
        if tensor.layout is jagged:
            parts = {"values": values, "offsets": tensor.offsets(), "lengths": tensor.lengths()}
            parts |= {
                "_ragged_idx": tensor._ragged_idx,
                "_metadata_cache": {},
                "requires_grad": tensor.requires_grad,
            }
            return _rebuild_from_type_v2, (_rebuild_njt, type(tensor), (parts,), {})
        return _rebuild_nested_tensor, (values, *tensor._places_in_memory())

    def _reduce_plain(self, tensor: Tensor):
        array = tensor._strided()
        if any(s < 0 for s in array.strides):
            array = array.copy()
        kind = tensor.dtype
        memory = Memory(array)
        args = (
            _StorageOf(self._identity(memory, kind)),
            memory.offset // kind.itemsize,
            tuple(tensor.shape),
            tensor.stride(),
            tensor.requires_grad,
        )
        if STORAGE_TYPES[kind] is UNTYPED:
            return _rebuild_tensor_v3, (*args, OrderedDict(), kind)
        return _rebuild_tensor_v2, (*args, OrderedDict())

    def _identity(self, memory: Memory, kind: dtype | None) -> tuple:
        """What is written for some memory: its elements' type, its number, its place and its size."""
        number = self._numbers.setdefault(memory.key, len(self.memories))
        if number == len(self.memories):
            self.memories.append(memory)
        if kind and self._kinds.setdefault(memory.key, kind) is not kind:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different types: "
                f"{self._kinds[memory.key]} and {kind}. Save a clone() of one of them."
            )
        storage_type = STORAGE_TYPES[kind] if kind else UNTYPED
        width = 1 if storage_type is UNTYPED else kind.itemsize
        return "storage", storage_type, str(number), "cpu", memory.nbytes // width

    def save_global(self, obj, name: str | None = None) -> None:
        """Write the name of a class, a function or a constant: PyTorch's for what is ours."""
        found = NAMES.get(id(obj))
        if found is None and isinstance(obj, memory_format):
            found = "torch", obj.name
        if found is None and str(getattr(obj, "__module__", "")).partition(".")[0] == "rushlight":
            if obj is self._parameter:
                found = "torch.nn.parameter", "Parameter"
            else:
                found = public_name(obj, name or getattr(obj, "__qualname__", ""))
        if found is None:
            super().save_global(obj, name)
            return
        self.write(pickle.GLOBAL + f"{found[0]}\n{found[1]}\n".encode())
        self.memoize(obj)

    dispatch = {**pickle._Pickler.dispatch, types.FunctionType: save_global}
