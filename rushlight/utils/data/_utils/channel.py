"""The way between a loader and one of its workers: a socket for messages, and shared memory for arrays.

The worker owns the shared memory. It puts all arrays of a batch into one block of it and sends a message that says
where; the descriptor of the memory goes along the first time. When nothing in the loader's process looks at a block any
longer, its number goes back with the next task and the worker uses it again: memory that both have mapped already.
Every worker has a channel of its own and there are no locks, so a worker that is killed disturbs no other one, and its
end of the socket closes, which the loader notices at once.
"""

import collections
import io
import pickle
import select
import socket
import struct
import weakref
from multiprocessing.reduction import ForkingPickler

import numpy as np

from rushlight.multiprocessing.shared import Segment
from rushlight.storage import Memory
from rushlight.tensor import Tensor, wrap

_LENGTH = struct.Struct("<Q")
_SMALL = 2048  # bytes; arrays below go along in the message
_MESSAGE = 4096  # bytes; longer messages go through shared memory too, so that sockets never fill up
_CHUNK = 64 << 20  # bytes that are mapped at a time; only what is written to takes memory
_ALIGNMENT = 64


# -- tensors in messages --------------------------------------------------------------------------------


class _Pickler(ForkingPickler):
    def reducer_override(self, obj):
        return _reduce(obj) if isinstance(obj, Tensor) else NotImplemented


def _reduce(tensor: Tensor):
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support "
            "crossing process boundaries.  If you just want to transfer the data, call detach() on the tensor before "
            "serializing: return tensor.detach() from the dataset or collate_fn."
        )
    if type(tensor).__reduce_ex__ is not Tensor.__reduce_ex__:
        return NotImplemented
    array = tensor._strided()
    strides = None
    if array.flags.c_contiguous:
        flat = array.reshape(-1).view(np.uint8)
    else:
        array = array.copy(order="K")
        flat, strides = Memory(array).bytes(), array.strides
    extras = (tensor._rg, tensor._format, tensor._user_attributes())
    extras = None if extras == (False, None, {}) else extras
    return _rebuild, (type(tensor), pickle.PickleBuffer(flat), array.shape, array.dtype, strides, extras)


def _rebuild(cls, buffer, shape, dtype, strides, extras) -> Tensor:
    tensor = wrap(np.ndarray(shape, dtype, buffer, 0, strides), cls)
    if extras:
        tensor._rg, memory_format, attributes = extras
        if memory_format is not None:
            tensor._format = memory_format
        tensor.__dict__.update(attributes)
    return tensor


def _dumps(value) -> tuple[bytes, list[memoryview]]:
    """A value as bytes, and the larger arrays in it apart."""
    apart: list[memoryview] = []

    def keep_inside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _SMALL:
            return True
        apart.append(raw)
        return False

    stream = io.BytesIO()
    _Pickler(stream, 5, True, keep_inside).dump(value)
    return stream.getvalue(), apart


# -- the worker's end -----------------------------------------------------------------------------------


class Arena:
    """Blocks of shared memory, used again when they are given back."""

    def __init__(self):
        self.chunks: list[np.ndarray] = []
        self.segments: list[Segment] = []
        self.used = 0  # of the last chunk
        self.blocks: list[tuple[int, int, int]] = []  # by number: chunk, offset, size
        self.free: dict[int, list[int]] = {}  # by size: numbers of blocks

    def take(self, nbytes: int) -> int:
        """The number of a block for that many bytes."""
        size = _rounded(nbytes)
        free = self.free.get(size)
        if free:
            return free.pop()
        if not self.chunks or self.used + size > self.chunks[-1].size:
            self.segments.append(Segment(max(_CHUNK, size)))
            self.chunks.append(np.frombuffer(self.segments[-1], np.uint8))
            self.used = 0
        self.blocks.append((len(self.chunks) - 1, self.used, size))
        self.used += size
        return len(self.blocks) - 1

    def give_back(self, number: int) -> None:
        """Let a block be used again."""
        self.free.setdefault(self.blocks[number][2], []).append(number)


def _rounded(nbytes: int) -> int:
    """At least so many bytes, one of eight sizes from each power of two to the next."""
    step = max(4096, 1 << max(0, nbytes.bit_length() - 4))
    return -(-nbytes // step) * step


class WorkerEnd:
    """Where a worker gets tasks and puts batches.

    Args:
        sock: its socket.
    """

    def __init__(self, sock: socket.socket):
        self.socket = sock
        self.arena = Arena()
        self.sent_chunks = 0
        self.poll = select.poll()
        self.poll.register(sock, select.POLLIN)

    def receive(self, timeout: float):
        """The next task.

        Raises:
            TimeoutError: none came. EOFError: the loader is gone, or has no more use for results.
        """
        events = self.poll.poll(timeout * 1000)
        if not events:
            raise TimeoutError
        if events[0][1] & (select.POLLHUP | select.POLLERR):
            raise EOFError
        task, returned = pickle.loads(_read_message(self.socket))
        for number in returned:
            self.arena.give_back(number)
        return task

    def send(self, value) -> None:
        """Send a value; its arrays are copied into shared memory.

        Raises:
            OSError: the loader is gone.
        """
        payload, buffers = _dumps(value)
        long = len(payload) > _MESSAGE
        if not buffers and not long:
            _write_message(self.socket, pickle.dumps((None, (), payload)))
            return
        if long:
            buffers.append(memoryview(payload))
        places, total = [], 0
        for buffer in buffers:
            places.append((total, total + buffer.nbytes))
            total += -(-buffer.nbytes // _ALIGNMENT) * _ALIGNMENT
        arena = self.arena
        number = arena.take(total)
        chunk, offset, _ = arena.blocks[number]
        memory = arena.chunks[chunk][offset : offset + total]
        for buffer, (start, end) in zip(buffers, places, strict=True):
            memory[start:end] = np.frombuffer(buffer, np.uint8)
        new = arena.segments[self.sent_chunks :]
        self.sent_chunks += len(new)
        block = (number, chunk, offset, total, [len(segment) for segment in new])
        message = pickle.dumps((block, places, None if long else payload))
        _write_message(self.socket, message, [segment.fd for segment in new])


# -- the loader's end -----------------------------------------------------------------------------------


class LoaderEnd:
    """Where a loader puts tasks for one worker and gets its batches.

    Args:
        sock: its socket.
    """

    def __init__(self, sock: socket.socket):
        self.socket = sock
        self.segments: list[Segment] = []
        self.returned: collections.deque[int] = collections.deque()  # blocks that nothing looks at any longer
        self.waiting = bytearray()  # what the socket could not take yet

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self.socket.fileno()

    def send(self, task) -> None:
        """Send a task, as far as the socket takes it; `flush` sends the rest."""
        returned = []
        while self.returned:
            returned.append(self.returned.popleft())
        message = pickle.dumps((task, returned))
        self.waiting += _LENGTH.pack(len(message)) + message
        self.flush()

    def flush(self) -> None:
        """Send what is waiting, without blocking."""
        try:
            while self.waiting:
                del self.waiting[: self.socket.send(self.waiting, socket.MSG_DONTWAIT)]
        except BlockingIOError:
            return
        except OSError:  # the worker is gone, which shows when its results are read
            self.waiting.clear()

    def receive(self):
        """The next value; its arrays lie in shared memory.

        Raises:
            EOFError: the worker is gone.
        """
        descriptors: list[int] = []
        try:
            message = _read_message(self.socket, descriptors)
        except OSError as error:
            raise EOFError from error
        block, places, payload = pickle.loads(message)
        if block is None:
            return pickle.loads(payload)
        number, chunk, offset, total, sizes = block
        for size, fd in zip(sizes, descriptors, strict=True):
            self.segments.append(Segment(size, fd))
        memory = np.ndarray(total, np.uint8, self.segments[chunk], offset)
        weakref.finalize(memory, self.returned.append, number).atexit = False
        view = memoryview(memory)
        buffers = [view[start:end] for start, end in places]
        return pickle.loads(buffers.pop() if payload is None else payload, buffers=buffers)

    def close(self) -> None:
        """End the connection; the worker notices it even where other processes have copies of the socket."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.waiting.clear()
        self.socket.close()

    def __del__(self):
        self.socket.close()


def _write_message(sock: socket.socket, message: bytes, descriptors=()) -> None:
    head = _LENGTH.pack(len(message))
    if descriptors:
        socket.send_fds(sock, [head], descriptors)
        sock.sendall(message)
    else:
        sock.sendall(head + message)


def _read_message(sock: socket.socket, descriptors: list | None = None) -> bytearray:
    if descriptors is None:
        head = bytes(_read(sock, _LENGTH.size))
    else:
        head, received, _, _ = socket.recv_fds(sock, _LENGTH.size, 8)
        descriptors += received
        if len(head) < _LENGTH.size:
            head += bytes(_read(sock, _LENGTH.size - len(head)))
    return _read(sock, _LENGTH.unpack(head)[0])


def _read(sock: socket.socket, nbytes: int) -> bytearray:
    data = bytearray(nbytes)
    view = memoryview(data)
    while view:
        received = sock.recv_into(view)
        if not received:
            raise EOFError
        view = view[received:]
    return data
