"""Memory that several processes see, and the tensors that lie in it.

The memory has no name: it is a descriptor, which processes inherit or hand to one another. So nothing is left behind
in `/dev/shm` however they end, and the size of `/dev/shm` is no limit.
"""

import gc
import mmap
import os
import sys
import weakref

import numpy as np

from rushlight.storage import Memory
from rushlight.tensor import Tensor

_ARENA_BYTES = 4 << 20
_ALIGNMENT = 64


class Segment(mmap.mmap):
    """A piece of shared memory.

    Args:
        size: in bytes.
        fd: the descriptor of one that exists, which belongs to the segment from now on; None makes a new one.
    """

    def __new__(cls, size: int, fd: int | None = None):
        own = _anonymous_file(size) if fd is None else fd
        untracked = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        try:
            made = super().__new__(cls, own, size, **untracked)
        except BaseException:
            os.close(own)
            raise
        made.fd, made.used = own, 0
        weakref.finalize(made, os.close, own).atexit = False
        return made

    def key(self) -> tuple[int, int]:
        """What identifies this memory in every process."""
        status = os.fstat(self.fd)
        return status.st_dev, status.st_ino


def _anonymous_file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("rushlight", os.MFD_CLOEXEC)
    else:
        import tempfile

        fd, path = tempfile.mkstemp(prefix="rushlight-")
        os.unlink(path)
    os.ftruncate(fd, size)
    return fd


_arena: list[
    Segment
] = []  # the one that small arrays are put into, so that each needs no descriptor of its own


def allocate(nbytes: int) -> np.ndarray:
    """Shared memory, as an array of bytes; it lives as long as something looks at it."""
    if nbytes > _ARENA_BYTES // 4:
        return np.ndarray(nbytes, np.uint8, Segment(nbytes))
    if not _arena or _arena[0].used + nbytes > _ARENA_BYTES:
        _arena[:] = [Segment(_ARENA_BYTES)]
    arena = _arena[0]
    made = np.ndarray(nbytes, np.uint8, arena, arena.used)
    arena.used += -(-nbytes // _ALIGNMENT) * _ALIGNMENT
    return made


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_arena.clear)  # parent and child must not give out the same places


def segment_of(array: np.ndarray) -> Segment | None:
    """The shared memory that an array lies in; None where it lies elsewhere."""
    base = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return base if isinstance(base, Segment) else None


def address(array: np.ndarray) -> int:
    """Where an array's first element is."""
    return array.__array_interface__["data"][0]


def share(tensor: Tensor) -> Tensor:
    """Move the memory under a tensor, and under the tensors that look at the same memory, to where processes share it.

    Args:
        tensor: it keeps its strides.
    Returns:
        The tensor itself.
    """
    array = tensor._strided()
    if not array.size or segment_of(array) is not None:
        return tensor
    memory = Memory(array)
    moved = allocate(memory.nbytes)
    moved[:] = memory.bytes()
    low, high = memory.key[0], memory.key[0] + memory.nbytes
    alone = memory.root is array and sys.getrefcount(array) <= 4  # the tensor, its memory, here and the call
    for t in [tensor] if alone else _lookers(low, high):
        a = t._array
        t._array = np.ndarray(a.shape, a.dtype, moved, address(a) - low, a.strides)
    return tensor


def _lookers(low: int, high: int) -> list[Tensor]:
    """All tensors whose memory is between two addresses."""
    # isinstance would ask the objects themselves, and some answer with a warning
    tensors = [o for o in gc.get_objects() if issubclass(type(o), Tensor)]
    return [t for t in tensors if t._array.size and low <= address(t._array) < high]


def share_memory_(self: Tensor) -> Tensor:
    """Move its memory to where processes share it: writes by one are seen by the others.

    Other tensors on the same memory move with it; arrays that `numpy()` returned before do not.

    Returns:
        The tensor itself.

    >>> import rushlight as torch
    >>> torch.zeros(2).share_memory_().is_shared()
    True
    """
    return share(self)


def is_shared(self: Tensor) -> bool:
    """Whether its memory is shared with other processes (see `share_memory_`)."""
    return segment_of(self._array) is not None


Tensor.share_memory_, Tensor.is_shared = share_memory_, is_shared
