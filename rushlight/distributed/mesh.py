"""Messages between processes: every one is connected to every other one.

A thread for each connection reads messages into mailboxes as they come, so that sending never waits for the receiver to
be at the right place: there are no deadlocks to think of. A mailbox belongs to a sender, a group and a tag.
"""

import os
import socket
import struct
import threading
import time
from collections import defaultdict, deque

from rushlight.distributed.store import Store

_HEAD = struct.Struct("<qqQ")  # group, tag, length
_HELLO = struct.Struct("<16sq")  # token, rank


class Mesh:
    """The connections of this process.

    Args:
        store: through which addresses are exchanged.
        rank, size: which process this is, of how many.
        seconds: how long to wait for the others.
    """

    def __init__(self, store: Store, rank: int, size: int, seconds: float):
        self.rank, self.size = rank, size
        self.mail: dict[tuple, deque] = defaultdict(deque)
        self.arrived = threading.Condition()
        self.gone: dict[int, str] = {}  # who has ended, and why
        self.sockets: dict[int, socket.socket] = {}
        self.locks = [threading.Lock() for _ in range(size)]
        if size > 1:
            self._connect(store, seconds)
        for peer, connection in self.sockets.items():
            threading.Thread(target=self._read, args=(peer, connection), daemon=True).start()

    def _connect(self, store: Store, seconds: float) -> None:
        if self.rank == 0:
            store.set("token", os.urandom(8).hex())
        token = store.get("token")
        end = time.monotonic() + seconds
        host = getattr(getattr(store, "underlying_store", store), "local_address", "127.0.0.1")
        with socket.create_server((host, 0), backlog=self.size) as server:
            store.set(f"address/{self.rank}", f"{host} {server.getsockname()[1]}")
            for peer in range(self.rank):
                name, port = store.get(f"address/{peer}").decode().split()
                connection = socket.create_connection((name, int(port)), timeout=seconds)
                connection.sendall(_HELLO.pack(token, self.rank))
                self.sockets[peer] = connection
            while len(self.sockets) < self.size - 1:
                self._accept(server, token, end)
        for connection in self.sockets.values():
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            limit = struct.pack("ll", int(seconds), 1)
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit
            )  # to a process that is stopped

    def _accept(self, server: socket.socket, token: bytes, end: float) -> None:
        server.settimeout(max(0.01, end - time.monotonic()))
        try:
            connection, _ = server.accept()
        except TimeoutError:
            missing = sorted(set(range(self.size)) - set(self.sockets) - {self.rank})
            raise RuntimeError(f"init_process_group: timed out waiting for the ranks {missing}") from None
        connection.settimeout(10)
        try:
            said, peer = _HELLO.unpack(_exactly(connection, _HELLO.size))
        except (OSError, EOFError):
            said, peer = b"", -1
        if said == token and self.rank < peer < self.size:
            self.sockets[peer] = connection
        else:
            connection.close()  # somebody else

    def send(self, to: int, group: int, tag: int, data) -> None:
        """Send bytes.

        Raises:
            RuntimeError: that process has ended.
        """
        view = memoryview(data).cast("B")
        if to == self.rank:
            self._deliver((to, group, tag), bytearray(view))
            return
        connection = self.sockets[to]
        try:
            with self.locks[to]:
                connection.sendall(_HEAD.pack(group, tag, view.nbytes))
                connection.sendall(view)
        except BlockingIOError as error:
            raise RuntimeError(
                f"[rank {self.rank}] Timed out sending to rank {to}, which takes nothing any longer"
            ) from error
        except OSError as error:
            raise RuntimeError(
                f"[rank {self.rank}] Connection closed by peer: rank {to} has ended ({error})"
            ) from error

    def receive(self, sources: list[int], group: int, tag: int, seconds: float) -> tuple[int, bytearray]:
        """The next message from one of these processes: (sender, bytes).

        Raises:
            RuntimeError: none came in time, or they have ended.
        """
        with self.arrived:
            if not self.arrived.wait_for(lambda: self.ready(sources, group, tag), seconds):
                raise RuntimeError(
                    f"[rank {self.rank}] Timed out waiting {int(seconds * 1000)}ms for recv operation to complete: "
                    f"nothing came from rank {', '.join(map(str, sources))}. Do all ranks call the same collectives "
                    "in the same order? init_process_group(timeout=...) sets how long to wait."
                )
            for source in sources:
                box = self.mail.get((source, group, tag))
                if box:
                    message = box.popleft()
                    if not box:
                        del self.mail[source, group, tag]
                    return source, message
        reason = "; ".join(f"rank {s} has ended ({self.gone[s]})" for s in sources if s in self.gone)
        raise RuntimeError(f"[rank {self.rank}] Connection closed by peer: {reason}")

    def ready(self, sources: list[int], group: int, tag: int) -> bool:
        """Whether `receive` would return, or raise, at once."""
        return any(self.mail.get((s, group, tag)) for s in sources) or all(s in self.gone for s in sources)

    def _deliver(self, key: tuple, message: bytearray) -> None:
        with self.arrived:
            self.mail[key].append(message)
            self.arrived.notify_all()

    def _read(self, peer: int, connection: socket.socket) -> None:
        try:
            while True:
                group, tag, length = _HEAD.unpack(_exactly(connection, _HEAD.size))
                self._deliver((peer, group, tag), _exactly(connection, length))
        except (OSError, EOFError) as error:
            with self.arrived:
                self.gone[peer] = str(error) or "closed"
                self.arrived.notify_all()

    def close(self) -> None:
        """End all connections."""
        for connection in self.sockets.values():
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                connection.close()


def _exactly(connection: socket.socket, nbytes: int) -> bytearray:
    data = bytearray(nbytes)
    view = memoryview(data)
    while view:
        received = connection.recv_into(view)
        if not received:
            raise EOFError
        view = view[received:]
    return data
