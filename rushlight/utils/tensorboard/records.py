"""Event files: records of bytes with their lengths and check sums (the TFRecord format)."""

import functools
import itertools
import os
import socket
import struct
import time

from rushlight.utils.tensorboard.messages import Event, SourceMetadata

_numbers = itertools.count()  # of the event files of this process, which may begin in the same second


def _table() -> list[int]:
    """The check sums of single bytes."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # Castagnoli's polynomial, mirrored
        table.append(value)
    return table


_TABLE = _table()


def masked_crc32c(data: bytes) -> int:
    """The check sum of a record's part: CRC-32C, turned by 15 bits, plus a constant.

    >>> from rushlight.utils.tensorboard.records import masked_crc32c
    >>> masked_crc32c(b"123456789")
    3347755237
    """
    table, crc = _TABLE, 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@functools.lru_cache(1024)
def _head(size: int) -> bytes:
    """How a record of that many bytes begins: with their number and its check sum."""
    packed = struct.pack("<Q", size)
    return packed + struct.pack("<I", masked_crc32c(packed))


class RecordWriter:
    """Write records to a file.

    Args:
        writer: a binary file.
    """

    def __init__(self, writer):
        self._writer = writer

    def write(self, data: bytes) -> None:
        """Add a record."""
        self._writer.write(_head(len(data)) + data + struct.pack("<I", masked_crc32c(data)))

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._writer.flush()

    def close(self) -> None:
        """Write everything and close the file."""
        self._writer.close()

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._writer.closed


class EventFileWriter:
    """A new event file in a folder.

    Args:
        logdir: the folder, made where there is none.
        max_queue_size: how many events wait in memory at most.
        flush_secs: after how many seconds at most they are written, counted when one comes.
        filename_suffix: the end of the file's name.
    """

    def __init__(
        self, logdir: str, max_queue_size: int = 10, flush_secs: float = 120, filename_suffix: str = ""
    ):
        self._logdir, self._max_queue_size, self._flush_secs = logdir, max_queue_size, flush_secs
        self._suffix = filename_suffix
        self._open()

    def _open(self) -> None:
        os.makedirs(self._logdir, exist_ok=True)
        name = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._records = RecordWriter(
            open(os.path.join(self._logdir, f"events.out.tfevents.{name}{self._suffix}"), "wb")  # noqa: SIM115
        )
        source = SourceMetadata(writer="rushlight.utils.tensorboard")
        self.add_event(Event(wall_time=time.time(), file_version="brain.Event:2", source_metadata=source))
        self.flush()

    def get_logdir(self) -> str:
        """The folder."""
        return self._logdir

    def add_event(self, event) -> None:
        """Add an event: a message of ours, or one of TensorBoard's."""
        self._records.write(event.SerializeToString())
        self._waiting += 1
        if self._waiting > self._max_queue_size or time.monotonic() > self._flush_at:
            self.flush()

    _waiting, _flush_at = 0, 0.0

    def flush(self) -> None:
        """Write what waits."""
        self._records.flush()
        self._waiting, self._flush_at = 0, time.monotonic() + self._flush_secs

    def close(self) -> None:
        """Write what waits and close the file."""
        self._records.close()

    def reopen(self) -> None:
        """After `close`: begin another file in the same folder."""
        if self._records.closed:
            self._open()
