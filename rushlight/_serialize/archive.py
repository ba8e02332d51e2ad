"""The container of PyTorch's `.pt` files: a zip archive of uncompressed records, aligned so that they can be
mapped.

Source: PKWARE's APPNOTE 6.3 (zip), with records at multiples of 64 bytes as PyTorch writes them.
"""

import mmap
import os
import struct
import zlib

import numpy as np

_ALIGNMENT = 64
_STORED = 0  # the compression method
_DATE = 0x21  # 1 January 1980
_UTF8 = 0x800
_MAX32 = 0xFFFFFFFF
_HINT = " The file is corrupt or was not written completely; load another copy, or save it again."


class ArchiveWriter:
    """Writes records one after another to a stream, which need not be seekable.

    Args:
        stream: has `write`.
        name: the folder inside the archive.
    """

    def __init__(self, stream, name: str):
        self._stream, self._name = stream, name
        self._position = 0
        self._entries: list[tuple[bytes, int, int, int]] = []  # name, crc, size, offset

    def _write(self, data) -> None:
        self._stream.write(data)
        self._position += len(data)

    def write(self, record: str, data) -> None:
        """Add a record; `data` is bytes or a view of bytes."""
        name = f"{self._name}/{record}".encode()
        size, crc, offset = len(data), zlib.crc32(data), self._position
        extra = b"" if size < _MAX32 else struct.pack("<2H2Q", 1, 16, size, size)
        unpadded = offset + 30 + len(name) + len(extra) + 4
        padding = -unpadded % _ALIGNMENT
        extra += b"FB" + struct.pack("<H", padding) + b"Z" * padding
        shown = min(size, _MAX32)
        version = 45 if size >= _MAX32 else 20
        header = struct.pack(
            "<4s5H3L2H", b"PK\3\4", version, _UTF8, 0, 0, _DATE, crc, shown, shown, len(name), len(extra)
        )
        self._write(header + name + extra)
        self._write(data)
        self._entries.append((name, crc, size, offset))

    def finish(self) -> None:
        """Write the directory."""
        serial = zlib.crc32(b"".join(name for name, *_ in self._entries)), self._checksum()
        self.write(".data/serialization_id", b"%020d%020d" % serial)
        start = self._position
        for name, crc, size, offset in self._entries:
            large = [n for n in (size, size, offset) if n >= _MAX32]
            extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
            shown = min(size, _MAX32)
            self._write(
                struct.pack(
                    "<4s6H3L5H2L", b"PK\1\2", 45, 45 if large else 20, _UTF8, 0, 0, _DATE, crc, shown, shown,
                    len(name), len(extra), 0, 0, 0, 0, min(offset, _MAX32),
                ) + name + extra
            )  # fmt: skip
        self._write_end(start, self._position - start)

    def _checksum(self) -> int:
        return zlib.crc32(b"".join(struct.pack("<L", crc) for _, crc, *_ in self._entries))

    def _write_end(self, start: int, size: int) -> None:
        count, end = len(self._entries), self._position
        if count >= 0xFFFF or start >= _MAX32 or size >= _MAX32:
            self._write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start))
            self._write(struct.pack("<4sLQL", b"PK\6\7", 0, end, 1))
        few = min(count, 0xFFFF)
        self._write(
            struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, few, few, min(size, _MAX32), min(start, _MAX32), 0)
        )


class ArchiveReader:
    """Reads records of an archive, and trusts none of the sizes and places that it states.

    Args:
        file: seekable, at the start of the archive.
        map_file: hand out views of the mapped file instead of copies.
    Raises:
        RuntimeError: it is not a whole archive.
    """

    def __init__(self, file, map_file: bool = False):
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) if map_file else None
        self._budget = self.size  # no file holds more than itself, though its records may overlap
        import zipfile  # only here: it takes a tenth of the time that the whole package needs to load

        try:
            infos = zipfile.ZipFile(file).infolist()
        except (
            zipfile.BadZipFile,
            ValueError,
            struct.error,
            NotImplementedError,
            EOFError,
            LookupError,
        ) as e:
            raise RuntimeError(
                "PytorchStreamReader failed reading zip archive: failed finding central directory "
                f"({e}).{_HINT}"
            ) from None
        prefix = infos[0].filename.partition("/")[0] + "/" if infos else ""
        self._records = {i.filename[len(prefix) :]: i for i in infos if i.filename.startswith(prefix)}

    def __contains__(self, record: str) -> bool:
        return record in self._records

    def bytes(self, record: str) -> bytes:
        """A record's bytes."""
        return self.array(record).tobytes()

    def length(self, record: str) -> int:
        """How many bytes a record has; RuntimeError where there is no such record."""
        return self._info(record).file_size

    def _info(self, record: str):
        info = self._records.get(record)
        if info is None:
            raise RuntimeError(f"PytorchStreamReader failed locating file {record}: file not found.{_HINT}")
        return info

    def array(self, record: str) -> np.ndarray:
        """A record as an array of bytes that may be written to.

        Raises:
            RuntimeError: it is missing, damaged, compressed, or not where the directory says.
        """
        info = self._info(record)
        start, size = self._start(record, info), info.file_size
        if self._mapped is not None:
            return np.frombuffer(self._mapped, np.uint8, size, start)
        self._budget -= size
        if self._budget < 0:
            raise _damaged(record, "its records overlap")
        data = np.empty(size, np.uint8)
        self._file.seek(start)
        if _read_into(self._file, data) != size:
            raise _damaged(record, "file read failed")
        if zlib.crc32(data) != info.CRC:
            raise _damaged(record, "its checksum does not fit")
        return data

    def _start(self, record: str, info) -> int:
        """Where a record's bytes begin."""
        stored = info.compress_type == _STORED and info.file_size == info.compress_size
        if not stored or info.flag_bits & 1:
            raise _damaged(record, "it is compressed or encrypted; save the file again without")
        header = b""
        if 0 <= info.header_offset <= self.size - 30:
            self._file.seek(info.header_offset)
            header = self._file.read(30)
        if len(header) < 30 or header[:4] != b"PK\3\4":
            raise _damaged(record, "there is no header where the directory says")
        name_length, extra_length = struct.unpack("<2H", header[26:])
        start = info.header_offset + 30 + name_length + extra_length
        if start + info.file_size > self.size:
            raise _damaged(record, "it reaches beyond the end of the file")
        return start


def _damaged(record: str, why: str) -> RuntimeError:
    return RuntimeError(f"PytorchStreamReader failed reading file {record}: {why}.{_HINT}")


def _read_into(file, data: np.ndarray) -> int:
    """Fill an array of bytes from a file; returns how many there were."""
    view, done = memoryview(data), 0
    while done < len(view):
        if hasattr(file, "readinto"):
            count = file.readinto(view[done:])
        else:
            chunk = file.read(len(view) - done)
            count = len(chunk)
            view[done : done + count] = chunk
        if not count:
            break
        done += count
    return done
