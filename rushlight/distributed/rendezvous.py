"""From an `init_method` to a store, the rank of this process and the number of processes."""

import os
from datetime import timedelta

from rushlight.distributed.store import FileStore, Store, TCPStore


def rendezvous(url: str, rank: int = -1, world_size: int = -1, timeout: timedelta | None = None):
    """Find the other processes.

    Args:
        url: "env://", "tcp://host:port" or "file:///path", with `?rank=0&world_size=2` or not.
        rank, world_size: what this process is, where the address does not say so.
        timeout: how long to wait for them.
    Returns:
        (store, rank, world_size)
    Raises:
        ValueError: something is missing. RuntimeError: there is no such way, or nobody answers.
    """
    from urllib.parse import parse_qs, urlparse  # takes long to import

    parts = urlparse(url)
    query = parse_qs(parts.query)
    rank = rank if rank >= 0 else int(query.get("rank", ["-1"])[0])
    world_size = world_size if world_size > 0 else int(query.get("world_size", ["-1"])[0])
    waiting = timeout or timedelta(minutes=30)
    if parts.scheme == "env":
        rank = rank if rank >= 0 else int(_environment("RANK"))
        world_size = world_size if world_size > 0 else int(_environment("WORLD_SIZE"))
        host, port = _environment("MASTER_ADDR"), int(_environment("MASTER_PORT"))
        return _tcp(host, port, rank, world_size, waiting), rank, world_size
    if parts.scheme not in ("tcp", "file"):
        raise RuntimeError(
            f"No rendezvous handler for {parts.scheme or url!r}://; init_method is env://, tcp://host:port or "
            "file:///path"
        )
    for name, value in (("rank", rank), ("world size", world_size)):
        if value < 0:
            raise ValueError(
                f"Error initializing torch.distributed using {parts.scheme}:// rendezvous: {name} parameter missing; "
                "pass rank= and world_size= to init_process_group"
            )
    if parts.scheme == "tcp":
        if not parts.port:
            raise ValueError(
                "Error initializing torch.distributed using tcp:// rendezvous: port number missing"
            )
        return _tcp(parts.hostname or "", parts.port, rank, world_size, waiting), rank, world_size
    if not parts.path:
        raise ValueError("Error initializing torch.distributed using file:// rendezvous: path missing")
    store: Store = FileStore(parts.netloc + parts.path, world_size)
    store.set_timeout(waiting)
    return store, rank, world_size


def _tcp(host: str, port: int, rank: int, world_size: int, timeout: timedelta) -> TCPStore:
    return TCPStore(host, port, world_size, rank == 0, timeout, wait_for_workers=False)


def _environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ValueError(
            f"Error initializing torch.distributed using env:// rendezvous: environment variable {name} expected, but "
            "not set; start the program with `python -m rushlight.distributed.run`, or set RANK, WORLD_SIZE, "
            "MASTER_ADDR and MASTER_PORT"
        )
    return value


__all__ = ["rendezvous"]
