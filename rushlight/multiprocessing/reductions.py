"""How tensors cross from one process to another: the descriptor of their memory is sent, not their elements."""

import os
from multiprocessing import reduction
from multiprocessing.reduction import ForkingPickler
from weakref import WeakValueDictionary

import numpy as np

from rushlight.multiprocessing.shared import Segment, address, segment_of, share
from rushlight.nn.parameter import Parameter
from rushlight.storage import TypedStorage, UntypedStorage
from rushlight.tensor import Tensor, wrap

_known: WeakValueDictionary = (
    WeakValueDictionary()
)  # segments by key: a second look at one is no second mapping


def reduce_tensor(tensor: Tensor):
    """What the pickler of `multiprocessing` writes for a tensor, whose memory becomes shared.

    Raises:
        RuntimeError: it was computed from tensors that require gradients.
    """
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support "
            "crossing process boundaries.  If you just want to transfer the data, call detach() on the tensor before "
            "serializing (e.g., putting it on the queue)."
        )
    share(tensor)
    array = tensor._strided()
    segment = segment_of(array)
    offset = 0 if segment is None else address(array) - address(np.frombuffer(segment, np.uint8, 1))
    layout = segment, offset, array.shape, array.dtype, array.strides
    return rebuild_tensor, (type(tensor), layout, tensor._rg, tensor._format, tensor._user_attributes())


def rebuild_tensor(cls, layout, requires_grad: bool, memory_format, attributes: dict) -> Tensor:
    """The tensor, on the shared memory."""
    segment, offset, shape, dtype, strides = layout
    array = np.empty(shape, dtype) if segment is None else np.ndarray(shape, dtype, segment, offset, strides)
    tensor = wrap(array, cls)
    tensor._rg = requires_grad
    if memory_format is not None:
        tensor._format = memory_format
    tensor.__dict__.update(attributes)
    return tensor


def reduce_storage(storage):
    """What the pickler of `multiprocessing` writes for a storage, whose memory becomes shared."""
    return rebuild_storage, (type(storage), wrap(storage.share_memory_()._data))


def rebuild_storage(cls, tensor: Tensor):
    """The storage, on the shared memory."""
    return cls(tensor._array)


def reduce_segment(segment: Segment):
    """What the pickler of `multiprocessing` writes for shared memory: once, however many tensors lie in it."""
    key = segment.key()
    _known[key] = segment
    return _receive, (reduction.DupFd(segment.fd), len(segment), key)


def _receive(sent, size: int, key) -> Segment:
    try:
        fd = sent.detach()
    except (OSError, EOFError) as error:
        raise RuntimeError(
            "a tensor cannot be received, because the process that sent it has ended. Let the sender wait until its "
            "tensors have arrived (an Event, or join() by the receiver), or send tensor.clone().numpy() instead."
        ) from error
    segment = _known.get(key)
    if segment is None:
        segment = _known[key] = Segment(size, fd)
    else:
        os.close(fd)
    return segment


def init_reductions() -> None:
    """Have everything in `multiprocessing` send tensors this way."""
    for kind in (Tensor, Parameter):
        ForkingPickler.register(kind, reduce_tensor)
    for kind in (UntypedStorage, TypedStorage):
        ForkingPickler.register(kind, reduce_storage)
    ForkingPickler.register(Segment, reduce_segment)
