"""Key-value stores, through which processes find one another.

All of them do the same few things to a table of bytes; they differ in where the table is.
"""

import json
import os
import socket
import threading
import time
from datetime import timedelta

_DEFAULT_TIMEOUT = timedelta(seconds=300)


class _Table:
    """A table of texts, and what can be done with it: every method answers None where it must be asked again."""

    def __init__(self, values: dict | None = None):
        self.values: dict[str, str] = values or {}

    def set(self, key: str, value: str):
        self.values[key] = value
        return True

    def get(self, key: str):
        return self.values.get(key)

    def wait(self, keys: list):
        return True if all(key in self.values for key in keys) else None

    def add(self, key: str, amount: int):
        self.values[key] = str(int(self.values.get(key, "0")) + amount)
        return int(self.values[key])

    def append(self, key: str, value: str):
        self.values[key] = self.values.get(key, "") + value
        return True

    def compare_set(self, key: str, expected: str, desired: str):
        if self.values.get(key, expected if not expected else None) == expected:
            self.values[key] = desired
        return self.values.get(key, expected)

    def check(self, keys: list):
        return all(key in self.values for key in keys)

    def delete_key(self, key: str):
        return self.values.pop(key, None) is not None

    def num_keys(self):
        return len(self.values)


def _text(value) -> str:
    return value if isinstance(value, str) else bytes(value).decode("latin-1")


class Store:
    """Base class of key-value stores. Values are bytes; `get` and `wait` wait for keys that are not there yet."""

    def __init__(self, timeout: timedelta = _DEFAULT_TIMEOUT):
        self.timeout = timeout

    def _call(self, name: str, *args, timeout: timedelta | None = None):
        raise NotImplementedError(
            f"{type(self).__name__} does not say how it is asked; use TCPStore or FileStore"
        )

    def _timed_out(self, name: str, args, seconds: float) -> RuntimeError:
        return RuntimeError(
            f"{type(self).__name__}: wait timeout after {int(seconds * 1000)}ms, keys: {args[0]} ({name}); has every "
            "process been started, with the same address and world size?"
        )

    def set_timeout(self, timeout: timedelta) -> None:
        """How long `get` and `wait` wait by default."""
        self.timeout = timeout

    def set(self, key: str, value) -> None:
        """Store bytes or text under a key."""
        self._call("set", key, _text(value))

    def get(self, key: str) -> bytes:
        """The value of a key, as soon as there is one."""
        return self._call("get", key).encode("latin-1")

    def wait(self, keys: list[str], timeout: timedelta | None = None) -> None:
        """Wait until there are values for all these keys."""
        self._call("wait", list(keys), timeout=timeout)

    def add(self, key: str, amount: int) -> int:
        """Add to a counter, which begins at 0; returns what it is then."""
        return self._call("add", key, amount)

    def append(self, key: str, value) -> None:
        """Put bytes behind those that are there."""
        self._call("append", key, _text(value))

    def compare_set(self, key: str, expected_value, desired_value) -> bytes:
        """Store a value where the present one is as expected; returns what is stored then."""
        return self._call("compare_set", key, _text(expected_value), _text(desired_value)).encode("latin-1")

    def check(self, keys: list[str]) -> bool:
        """Whether there are values for all these keys."""
        return self._call("check", list(keys))

    def delete_key(self, key: str) -> bool:
        """Forget a key; returns whether it was there."""
        return self._call("delete_key", key)

    def num_keys(self) -> int:
        """How many keys there are."""
        return self._call("num_keys")


class HashStore(Store):
    """A store for the threads of one process.

    >>> from rushlight.distributed import HashStore
    >>> store = HashStore()
    >>> store.set("a", "1")
    >>> store.get("a")
    b'1'
    """

    def __init__(self):
        super().__init__()
        self._table = _Table()
        self._changed = threading.Condition()

    def _call(self, name: str, *args, timeout: timedelta | None = None):
        seconds = (timeout or self.timeout).total_seconds()
        with self._changed:
            answer = self._changed.wait_for(lambda: _ask(self._table, name, args), seconds)
            self._changed.notify_all()
        if answer is None:
            raise self._timed_out(name, args, seconds)
        return answer[0]


def _ask(table: _Table, name: str, args):
    """The answer in a list, so that False and 0 are answers too."""
    answer = getattr(table, name)(*args)
    return None if answer is None else [answer]


class FileStore(Store):
    """A store in a file that all processes see.

    Args:
        file_name: a path; the file must not be left from an earlier run.
        world_size: how many processes use it.
    """

    def __init__(self, file_name: str, world_size: int = -1):
        super().__init__()
        self.path, self.world_size = file_name, world_size

    def _call(self, name: str, *args, timeout: timedelta | None = None):
        seconds = (timeout or self.timeout).total_seconds()
        end = time.monotonic() + seconds
        while True:
            answer = self._once(name, args)
            if answer is not None:
                return answer[0]
            if time.monotonic() > end:
                raise self._timed_out(name, args, seconds)
            time.sleep(0.01)

    def _once(self, name: str, args):
        import fcntl  # not on every system

        with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            table = _Table(json.loads(file.read() or "{}"))
            before = dict(table.values)
            answer = _ask(table, name, args)
            if table.values != before:
                file.seek(0)
                file.truncate()
                json.dump(table.values, file)
        return answer


class TCPStore(Store):
    """A store in one process, which the others reach over TCP.

    Args:
        host_name, port: where the master listens; port 0 lets the system choose one (see `port`).
        world_size: how many processes use it.
        is_master: whether this process keeps the table.
        timeout: how long `get` and `wait` wait, and how long to wait for the master.
        wait_for_workers: have the master wait for all others.
    Raises:
        RuntimeError: the master cannot be reached, or cannot listen there.
    """

    def __init__(
        self, host_name: str, port: int, world_size: int | None = None, is_master: bool = False,
        timeout: timedelta = _DEFAULT_TIMEOUT, wait_for_workers: bool = True, multi_tenant: bool = False,
        master_listen_fd: int | None = None, use_libuv: bool = True,
    ):  # fmt: skip
        super().__init__(timeout)
        self.host, self.port, self._server = host_name, port, None
        if is_master:
            self._server = _Server(host_name, port, master_listen_fd)
            self.port = self._server.port
        self._lock = threading.Lock()
        self._socket = self._lines = None
        self._socket = _connect(host_name, self.port, timeout.total_seconds())
        self._lines = self._socket.makefile("r", encoding="utf-8")
        if world_size and world_size > 0:
            self.add("/joined", 1)
            if is_master and wait_for_workers:
                self._wait_for_workers(world_size)

    def _wait_for_workers(self, world_size: int) -> None:
        end = time.monotonic() + self.timeout.total_seconds()
        while self.add("/joined", 0) < world_size:
            if time.monotonic() > end:
                joined = self.add("/joined", 0)
                self.close()
                raise RuntimeError(
                    f"TCPStore: timed out after {self.timeout.total_seconds():.0f} s waiting for clients: {joined} of "
                    f"{world_size} joined at {self.host}:{self.port}"
                )
            time.sleep(0.01)

    @property
    def local_address(self) -> str:
        """The address of this process, as the master sees it."""
        return self._socket.getsockname()[0]

    def _call(self, name: str, *args, timeout: timedelta | None = None):
        seconds = (timeout or self.timeout).total_seconds()
        request = json.dumps([name, args, seconds]) + "\n"
        with self._lock:
            try:
                self._socket.settimeout(seconds + 10)  # the master answers in time, unless it hangs
                self._socket.sendall(request.encode())
                line = self._lines.readline()
            except OSError as error:
                raise self._lost() from error
        if not line:
            raise self._lost()
        answer = json.loads(line)
        if answer is None:
            raise self._timed_out(name, args, seconds)
        return answer[0]

    def _lost(self) -> RuntimeError:
        return RuntimeError(
            f"TCPStore: lost the connection to {self.host}:{self.port}; has the process of rank 0 ended?"
        )

    def close(self) -> None:
        """Let go of the connection, and of the table where it is here."""
        for thing in (self._lines, self._socket, self._server):
            if thing is not None:
                thing.close()

    def __del__(self):
        if hasattr(self, "_lines"):
            self.close()


class _Server:
    """The master's side: a thread for each process that is connected."""

    def __init__(self, host: str, port: int, descriptor: int | None):
        self.store = HashStore()
        if descriptor is not None:
            self.socket = socket.socket(fileno=descriptor)
        else:
            local = host in ("localhost", "127.0.0.1")
            try:
                self.socket = socket.create_server(("127.0.0.1" if local else "", port))
            except OSError as error:
                raise RuntimeError(
                    f"The server socket has failed to listen on any local network address. port: {port}: {error}. "
                    "Choose another MASTER_PORT, or end the program that uses this one."
                ) from error
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("r", encoding="utf-8") as lines:
            try:
                for line in lines:
                    name, args, seconds = json.loads(line)
                    connection.sendall((json.dumps(self._answer(name, args, seconds)) + "\n").encode())
            except (OSError, ValueError):
                return

    def _answer(self, name: str, args: list, seconds: float):
        if name.startswith("_") or not hasattr(_Table, name):
            raise ValueError(f"TCPStore: no such request: {name}")
        try:
            return [self.store._call(name, *args, timeout=timedelta(seconds=seconds))]
        except RuntimeError:
            return None

    def close(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        except OSError:
            return
        finally:
            self.socket.close()


def _connect(host: str, port: int, seconds: float) -> socket.socket:
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection((host, port), timeout=max(0.1, end - time.monotonic()))
        except OSError as error:
            if time.monotonic() > end or isinstance(error, socket.gaierror):
                raise RuntimeError(
                    f"The client socket has timed out after {seconds:.0f}s while trying to connect to ({host}, "
                    f"{port}): {error}. Is the process of rank 0 running there?"
                ) from error
            time.sleep(0.05)


class PrefixStore(Store):
    """Part of another store: all keys begin with a prefix.

    Args:
        prefix: put before every key.
        store: where the values are.
    """

    def __init__(self, prefix: str, store: Store):
        super().__init__(store.timeout)
        self.prefix, self.underlying_store = prefix, store

    def _call(self, name: str, *args, timeout: timedelta | None = None):
        if args:
            keys = args[0]
            added = [self._full(k) for k in keys] if isinstance(keys, list) else self._full(keys)
            args = (added, *args[1:])
        return self.underlying_store._call(name, *args, timeout=timeout or self.timeout)

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}"


__all__ = ["FileStore", "HashStore", "PrefixStore", "Store", "TCPStore"]
