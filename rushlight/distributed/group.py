"""Process groups: collective operations on arrays, made of messages.

Each rank reduces one part of the array, in the order of ranks, and sends it to all: two rounds whatever the number of
processes, and the same bits everywhere. Small arrays take one round: everybody sends all to all.
"""

import enum
import itertools
import threading
from collections.abc import Callable
from datetime import timedelta

import numpy as np

from rushlight.distributed.mesh import Mesh

_SMALL = 1 << 16  # bytes


class ReduceOp(enum.Enum):
    """How values of different processes are put together."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7

    def __repr__(self) -> str:
        return f"<RedOpType.{self.name}: {self.value}>"


_FUNCTIONS = {
    ReduceOp.SUM: np.add, ReduceOp.AVG: np.add, ReduceOp.PRODUCT: np.multiply, ReduceOp.MIN: np.minimum,
    ReduceOp.MAX: np.maximum, ReduceOp.BAND: np.bitwise_and, ReduceOp.BOR: np.bitwise_or,
    ReduceOp.BXOR: np.bitwise_xor,
}  # fmt: skip


def check_reduction(op: ReduceOp, dtype: np.dtype) -> None:
    """Refuse what cannot be reduced.

    Raises:
        RuntimeError: the operation is not defined for such numbers.
    """
    if not isinstance(op, ReduceOp):
        raise TypeError(f"op: expected a ReduceOp, got {type(op).__name__}")
    if op in (ReduceOp.BAND, ReduceOp.BOR, ReduceOp.BXOR) and dtype.kind not in "iub":
        raise RuntimeError(f"Cannot use ReduceOp.{op.name} with non-integral dtype")
    if dtype.kind == "b" and op not in (ReduceOp.BAND, ReduceOp.BOR, ReduceOp.BXOR):
        raise RuntimeError("Invalid scalar type: bool; reduce tensor.int() instead")
    if dtype.kind == "c" and op not in (ReduceOp.SUM, ReduceOp.AVG):
        raise ValueError(f"all_reduce does not support ReduceOp.{op.name} on complex tensors")


def _combine(op: ReduceOp, parts: list[np.ndarray]) -> np.ndarray:
    """The reduction of parts, one from each rank in order."""
    result = parts[0].copy()
    with np.errstate(all="ignore"):
        for part in parts[1:]:
            _FUNCTIONS[op](result, part, out=result)
    if op is ReduceOp.AVG:
        result = result // len(parts) if result.dtype.kind in "iu" else result / result.dtype.type(len(parts))
    return result


class Work:
    """An operation under way: `wait()` returns when it is done, and raises what went wrong.

    Args:
        future: becomes the result; by default the operation is done already, with this `result`.
    """

    def __init__(self, future=None, result=None):
        from concurrent.futures import Future

        if future is None:
            future = Future()
            future.set_result(result)
        self._future = future

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until it is done, as long as the group's timeout lets it take by default."""
        from concurrent.futures import TimeoutError as FutureTimeoutError

        seconds = None if timeout is None else timeout.total_seconds()
        try:
            self._future.result(seconds)
        except FutureTimeoutError:
            raise RuntimeError(f"Work: the operation is not done after {seconds:g} s") from None
        return True

    def is_completed(self) -> bool:
        """Whether it is done or has failed."""
        return self._future.done()

    def is_success(self) -> bool:
        """Whether it is done and has not failed."""
        return self._future.done() and self._future.exception() is None

    def exception(self):
        """What went wrong, if anything."""
        return self._future.exception() if self._future.done() else None

    def source_rank(self) -> int:
        """Whom a message came from."""
        sender = self._future.result() if self._future.done() else None
        return sender if isinstance(sender, int) else -1

    def result(self):
        """Wait, and give what the operation made."""
        return self._future.result()


class _Receiving(Work):
    """A message that is expected: it is taken from the mailbox by `wait`."""

    def __init__(self, group: "ProcessGroup", sources: list[int], tag: int, place: Callable):
        from concurrent.futures import Future

        super().__init__(Future())
        self._arguments = group, sources, tag
        self._place = place
        self._once = threading.Lock()

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until the message is there, and put it where it belongs."""
        group, sources, tag = self._arguments
        seconds = group.seconds if timeout is None else timeout.total_seconds()
        with self._once:
            if not self._future.done():
                sender, message = group.mesh.receive(sources, group.id, _message_tag(tag), seconds)
                self._place(message)
                self._future.set_result(sender)
        return super().wait(timeout)

    def is_completed(self) -> bool:
        """Whether the message is there."""
        group, sources, tag = self._arguments
        return self._future.done() or group.mesh.ready(sources, group.id, _message_tag(tag))


def _message_tag(tag: int) -> int:
    """Tags of users are odd, numbers of collectives even."""
    return 2 * tag + 1


class ProcessGroup:
    """Some of the processes, of which this is one.

    Args:
        mesh: the connections among all processes.
        ranks: the members, in the order of their ranks in the group.
        number: the group's own, the same in all members.
        timeout: how long an operation may take.
    """

    def __init__(self, mesh: Mesh, ranks: list[int], number: int, timeout: timedelta, backend: str):
        self.mesh, self.ranks, self.id, self.backend = mesh, ranks, number, backend
        self.position = ranks.index(mesh.rank)
        self.seconds = timeout.total_seconds()
        self._numbers = itertools.count()
        self._pool = None

    def rank(self) -> int:
        """The rank of this process in the group."""
        return self.position

    def size(self) -> int:
        """How many processes it has."""
        return len(self.ranks)

    def name(self) -> str:
        """The name of the backend."""
        return self.backend

    def run(self, function: Callable, async_op: bool, *args) -> Work:
        """Run a collective, `function(number, *args)`, now or in the background; all ranks give it the same number."""
        number = 2 * next(self._numbers)
        if not async_op:
            return Work(result=function(number, *args))
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(1, thread_name_prefix="rushlight-distributed")
        return Work(self._pool.submit(function, number, *args))

    def close(self) -> None:
        """End what runs in the background."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    # -- messages: ranks are those in the group ---------------------------------------------------------

    def post(self, to: int, number: int, array: np.ndarray) -> None:
        """Send an array's bytes."""
        self.mesh.send(
            self.ranks[to], self.id, number, np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        )

    def take(self, source: int, number: int, dtype) -> np.ndarray:
        """Receive an array of one dimension."""
        _, message = self.mesh.receive([self.ranks[source]], self.id, number, self.seconds)
        return np.frombuffer(message, np.uint8).view(dtype)

    def send(self, array: np.ndarray, to: int, tag: int) -> None:
        """Send a message of the user's."""
        self.post(to, _message_tag(tag), array)

    def receiving(self, place: Callable, sources: list[int], tag: int) -> Work:
        """Expect a message of the user's."""
        return _Receiving(self, [self.ranks[s] for s in sources], tag, place)

    # -- collectives: arrays of one dimension -----------------------------------------------------------

    def others(self) -> list[int]:
        """All ranks but this one, beginning with the next, so that not all send to the same one."""
        n, me = self.size(), self.position
        return [(me + i) % n for i in range(1, n)]

    def exchange(self, number: int, parts: list[np.ndarray]) -> list[np.ndarray]:
        """Give part `i` to rank `i`; returns what each rank gave to this one."""
        for to in self.others():
            self.post(to, number, parts[to])
        dtype = parts[self.position].dtype
        return [
            parts[self.position] if i == self.position else self.take(i, number, dtype)
            for i in range(self.size())
        ]

    def all_gather(self, number: int, array: np.ndarray) -> list[np.ndarray]:
        """The arrays of all ranks."""
        return self.exchange(number, [array] * self.size())

    def all_reduce(self, number: int, array: np.ndarray, op: ReduceOp) -> np.ndarray:
        """The reduction of the arrays of all ranks."""
        if array.nbytes <= _SMALL or self.size() == 2:
            return _combine(op, self.all_gather(number, array))
        mine = self.reduce_scatter(number, np.array_split(array, self.size()), op)
        return np.concatenate(self.all_gather(number, mine))

    def reduce_scatter(self, number: int, parts: list[np.ndarray], op: ReduceOp) -> np.ndarray:
        """The reduction of what all ranks have for this one."""
        return _combine(op, self.exchange(number, parts))

    def reduce(self, number: int, array: np.ndarray, op: ReduceOp, to: int) -> np.ndarray | None:
        """The reduction of the arrays of all ranks, on one rank."""
        parts = self.gather(number, array, to)
        return None if parts is None else _combine(op, parts)

    def gather(self, number: int, array: np.ndarray, to: int) -> list[np.ndarray] | None:
        """The arrays of all ranks, on one rank."""
        if self.position != to:
            self.post(to, number, array)
            return None
        return [array if i == to else self.take(i, number, array.dtype) for i in range(self.size())]

    def scatter(self, number: int, parts: list[np.ndarray] | None, source: int, dtype) -> np.ndarray:
        """What one rank has for this one."""
        if parts is None:
            return self.take(source, number, dtype)
        for to in self.others():
            self.post(to, number, parts[to])
        return parts[source]

    def broadcast(self, number: int, array: np.ndarray, source: int) -> np.ndarray:
        """The array of one rank."""
        parts = [array] * self.size() if self.position == source else None
        return self.scatter(number, parts, source, array.dtype)
