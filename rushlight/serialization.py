"""`save` and `load`: PyTorch's `.pt` files, both ways.

A file that is written appears under its name only when it is complete. A file that is read is not trusted: by
default nothing in it is executed, and no size or place that it states is believed (see `_serialize`).
"""

import contextlib
import io
import os
import pickle
import re
import stat
import struct
import sys
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from rushlight import dtypes
from rushlight._serialize import unpickler as _unpickler
from rushlight._serialize.archive import ArchiveReader, ArchiveWriter
from rushlight._serialize.globals import _get_layout  # noqa: F401  plain pickles of PyTorch's name it
from rushlight._serialize.pickler import Pickler
from rushlight.devices import device
from rushlight.storage import TypedStorage, UntypedStorage

#: What `map_location` of `load` may be.
MAP_LOCATION: TypeAlias = Callable | device | str | dict[str, str] | None

DEFAULT_PROTOCOL = 2
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

_UNSAFE = (
    "Re-running `torch.load` with `weights_only` set to `False` will likely succeed, but it can result in "
    "arbitrary code execution. Do it only if you got the file from a trusted source."
)


# -- what the user declares safe --------------------------------------------------------------------


def add_safe_globals(safe_globals: list) -> None:
    """Let `load` make these, though `weights_only` is True.

    Args:
        safe_globals: classes and functions, or (one of them, the full name that files have for it).
    """
    _unpickler.safe_globals.extend(g for g in safe_globals if g not in _unpickler.safe_globals)


def get_safe_globals() -> list:
    """What was declared safe."""
    return list(_unpickler.safe_globals)


def clear_safe_globals() -> None:
    """Forget what was declared safe."""
    _unpickler.safe_globals.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: list):
    """`add_safe_globals` for a `with` block.

    Args:
        safe_globals: classes and functions, or (one of them, the full name that files have for it).
    """
    before = get_safe_globals()
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _unpickler.safe_globals[:] = before


# -- saving -----------------------------------------------------------------------------------------


def save(
    obj, f, pickle_module=pickle, pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True, _disable_byteorder_record: bool = False,
) -> None:  # fmt: skip
    """Write an object to a file that PyTorch can read too.

    The file is written under another name in the same folder, flushed to the disk, and renamed: whatever
        happens, its
    name holds either the old contents or the new.

    Args:
        obj: tensors, parameters, state dicts, modules, or anything else that can be pickled.
        f: a path, or something with `write`.
        pickle_module: Python's `pickle`; no other is supported.
        pickle_protocol: the version of pickle; PyTorch reads 2 without a warning.
    Raises:
        RuntimeError: there is no such folder. AttributeError: `f` is neither a path nor has it `write`.

    >>> import io, rushlight as torch
    >>> file = io.BytesIO()
    >>> torch.save({"w": torch.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    {'w': tensor([1., 1.])}
    """
    if pickle_module.__name__ != "pickle":
        raise NotImplementedError(
            f"save: expected pickle_module=pickle, got {pickle_module.__name__}; only Python's own is "
            "supported"
        )
    if not _use_new_zipfile_serialization:
        raise NotImplementedError(
            "save: the format from before PyTorch 1.6 can be loaded, but not written. "
            "Leave _use_new_zipfile_serialization at True"
        )
    if isinstance(f, str | os.PathLike):
        path = os.fspath(f)
        name = os.path.splitext(os.path.basename(path))[0]
        with _replacing(path) as stream:
            _write(obj, stream, name or "archive", pickle_protocol, _disable_byteorder_record)
    elif hasattr(f, "write"):
        _write(obj, f, "archive", pickle_protocol, _disable_byteorder_record)
    else:
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )


def _write(obj, stream, name: str, protocol: int, no_byteorder: bool) -> None:
    buffer = io.BytesIO()
    pickler = Pickler(buffer, protocol)
    pickler.dump(obj)
    archive = ArchiveWriter(stream, name)
    archive.write("data.pkl", buffer.getvalue())
    if not no_byteorder:
        archive.write("byteorder", sys.byteorder.encode())
    for i, memory in enumerate(pickler.memories):
        archive.write(f"data/{i}", memoryview(memory.bytes()))
    archive.write("version", b"3\n")
    archive.finish()


@contextlib.contextmanager
def _replacing(path: str):
    """A stream whose contents become the file at `path` when the block ends well, and vanish when it does
    not."""
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {os.path.dirname(path)} does not exist.")
    if os.path.isdir(target):
        raise RuntimeError(f"save: expected a file name, got the directory {path}")
    if os.path.exists(target) and not os.path.isfile(target):  # a pipe or a device cannot be replaced
        with open(target, "wb") as stream:
            yield stream
        return
    temporary = os.path.join(folder, f".rushlight-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as stream:
            if os.path.exists(target):
                with contextlib.suppress(OSError):
                    os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Have the disk know the new name, where the system lets us."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# -- loading ----------------------------------------------------------------------------------------


def load(
    f, map_location=None, pickle_module=None, *, weights_only: bool | None = None, mmap: bool | None = None,
    **pickle_load_args,
):  # fmt: skip
    """Read a file that `save` or PyTorch's `torch.save` wrote.

    Args:
        f: a path, or a file open for reading bytes that can `seek`.
        map_location: where the tensors go: a device or its name, a dict of names, or a function (storage,
            name) that returns the storage. Needed for files saved from a GPU: "cpu".
        pickle_module: with `weights_only=False`, another module than Python's `pickle`.
        weights_only: True (the default) reads data and nothing else: tensors, numbers, text, lists, dicts,
            and what `add_safe_globals` declared safe. False executes whatever the file says: only for files
            that you trust.
        mmap: map the file instead of reading it; only for paths.
        pickle_load_args: with `weights_only=False`, for the unpickler, such as `encoding`.
    Raises:
        FileNotFoundError: there is no such file. EOFError: it is empty. RuntimeError: it is damaged.
        pickle.UnpicklingError: it holds more than data, or what is no pickle.

    >>> import io, rushlight as torch
    >>> file = io.BytesIO()
    >>> torch.save([torch.arange(3), "text"], file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    [tensor([0, 1, 2]), 'text']
    """
    if weights_only is None:
        weights_only = pickle_module is None
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    is_path = isinstance(f, str | os.PathLike)
    if mmap and not is_path:
        raise ValueError("f must be a file path in order to use the mmap argument")
    if not is_path and not (hasattr(f, "read") and hasattr(f, "seek")):
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute 'seek'. You can only torch.load from a file that "
            "is seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from it "
            "instead."
        )
    with open(f, "rb") if is_path else contextlib.nullcontext(f) as file:
        reader = _Reader(
            file, map_location, weights_only, pickle_module or pickle, bool(mmap), pickle_load_args
        )
        if not weights_only:
            return reader.load()
        try:
            return reader.load()
        except pickle.UnpicklingError as error:
            raise pickle.UnpicklingError(_explained(str(error))) from None


def _explained(message: str) -> str:
    """PyTorch's words around what went wrong."""
    if re.search(r"GLOBAL \S+ was not an allowed global by default", message):
        return (
            "Weights only load failed. This file can still be loaded, to do so you have two options, do "
            f"those steps only if you trust the source of the checkpoint. \n\t(1) {_UNSAFE}\n\t(2) "
            "Alternatively, to load with `weights_only=True` please check the recommended steps in the "
            f"following error message.\n\tWeightsUnpickler error: {message}"
        )
    return f"Weights only load failed. {_UNSAFE}\n\n{message}"


class _Reader:
    """One call of `load`."""

    def __init__(self, file, map_location, weights_only: bool, module, mmap: bool, options: dict):
        self.file, self.weights_only, self.module, self.mmap = file, weights_only, module, mmap
        self.options = {"encoding": "utf-8", **options}
        self.place = _placer(map_location)
        self.storages: dict = {}
        start = file.tell()
        self.size = file.seek(0, os.SEEK_END) - start
        file.seek(start)

    def load(self):
        """What the file holds, whichever format it has."""
        start = self.file.tell()
        first = self.file.read(4)
        self.file.seek(start)
        if first[:2] == b"PK" and len(first) == 4:
            return self._load_zip()
        if self.mmap:
            raise RuntimeError(
                "mmap can only be used with files saved with "
                "`torch.save(_use_new_zipfile_serialization=True)`, please torch.save your checkpoint with "
                "this option in order to use mmap."
            )
        return self._load_legacy()

    def _unpickle(self, file, persistent_load):
        if self.weights_only:
            return _unpickler.Unpickler(file, persistent_load, self.size).load()
        base = self.module.Unpickler
        return _unpickler.full_unpickler(base, file, persistent_load, **self.options).load()

    def _load_zip(self):
        archive = ArchiveReader(self.file, self.mmap)
        if "constants.pkl" in archive:
            raise RuntimeError(
                "load: the file is a TorchScript archive, which holds a program. Rushlight loads files that "
                "torch.save wrote: in PyTorch, save the module's state_dict()."
            )
        order = archive.bytes("byteorder") if "byteorder" in archive else b"little"
        if order not in (b"little", b"big"):
            raise ValueError(f"Unknown endianness type: {order.decode(errors='replace')}")
        swap = order.decode() != sys.byteorder

        def persistent_load(identity: tuple) -> TypedStorage:
            _, storage_type, key, location, count = identity[:5]
            if not isinstance(key, str) or type(count) is not int:
                raise pickle.UnpicklingError("a storage is not described as expected")
            if key not in self.storages:
                kind = storage_type.dtype or dtypes.uint8
                _check_size(archive.length(f"data/{key}"), count, kind)
                storage = UntypedStorage(archive.array(f"data/{key}"))
                if swap:
                    storage.byteswap(kind)
                self.storages[key] = _typed(self.place(storage, location), kind)
            return self.storages[key]

        return self._unpickle(io.BytesIO(archive.bytes("data.pkl")), persistent_load)

    # -- the format from before PyTorch 1.6: pickles one after another, then the storages' bytes ---

    def _load_legacy(self):
        def refuse(identity):
            raise pickle.UnpicklingError("unexpected storage")

        self.budget = self.size
        if self._unpickle(self.file, refuse) != MAGIC_NUMBER:
            raise RuntimeError("Invalid magic number; corrupt file?")
        version = self._unpickle(self.file, refuse)
        if version != PROTOCOL_VERSION:
            raise RuntimeError(f"Invalid protocol version: {version!r:.50}")
        system = self._unpickle(self.file, refuse)
        if not isinstance(system, dict) or not system.get("little_endian", True):
            raise RuntimeError("load: the file was written on a big-endian machine, which is not supported")
        result = self._unpickle(self.file, self._legacy_storage)
        keys = self._unpickle(self.file, refuse)
        if (
            not isinstance(keys, list)
            or not all(isinstance(k, str) for k in keys)
            or {*keys} != {*self.storages}
        ):
            raise RuntimeError(
                "load: the storages in the file are not those that its tensors need; corrupt file?"
            )
        for key in keys:
            self._fill(self.storages[key])
        return result

    def _legacy_storage(self, identity: tuple):
        if identity[0] == "module":  # a class, with its source code
            return identity[1]
        _, storage_type, key, location, count, *rest = identity
        if not isinstance(key, str) or type(count) is not int or count < 0 or storage_type.dtype is None:
            raise pickle.UnpicklingError("a storage is not described as expected")
        width = storage_type.dtype.itemsize
        if key not in self.storages:
            self.budget -= count * width
            if self.budget < 0:
                raise RuntimeError(
                    "load: the file is shorter than the storages that it describes; corrupt file?"
                )
            storage = self.place(UntypedStorage(np.empty(count * width, np.uint8)), location)
            self.storages[key] = _typed(storage, storage_type.dtype)
        storage = self.storages[key]
        if rest and rest[0] is not None:
            _, offset, size = rest[0]
            if not (type(offset) is type(size) is int and offset >= 0 and size >= 0):
                raise pickle.UnpicklingError("a view of a storage is not described as expected")
            return storage[offset : offset + size]
        return storage

    def _fill(self, storage: TypedStorage) -> None:
        header = self.file.read(8)
        if len(header) < 8:
            raise EOFError("Ran out of input")
        count = struct.unpack("<q", header)[0]
        _check_size(storage.nbytes(), count, storage.dtype)
        data = self.file.read(storage.nbytes())
        if len(data) < storage.nbytes():
            raise RuntimeError(
                f"unexpected EOF, expected {storage.nbytes() - len(data)} more bytes. The file might be "
                "corrupted."
            )
        storage.untyped()[:] = np.frombuffer(data, np.uint8)


def _typed(storage: UntypedStorage, kind: dtypes.dtype) -> TypedStorage:
    """The same memory as elements of a type."""
    return TypedStorage(storage._data.view(kind.numpy))


def _check_size(have: int, count: int, kind: dtypes.dtype) -> None:
    width = kind.itemsize
    if have != count * width:
        raise RuntimeError(
            f"record size ({have} bytes) does not match expected size ({count * width} bytes = {count} "
            f"elements * {width} bytes/element) for dtype {dtypes.SCALAR_NAMES[kind]}"
        )


def _placer(map_location):
    """The function from (storage, the place it was saved from) to the storage where it belongs."""
    if map_location is not None and not isinstance(map_location, str | bytes | dict | device):
        if not callable(map_location):
            raise TypeError(
                f"load: expected map_location to be a device, its name, a dict or a function, got "
                f"{type(map_location).__name__}"
            )

        def ask(storage: UntypedStorage, location: str) -> UntypedStorage:
            chosen = map_location(storage, location)
            return _on_cpu(storage, location) if chosen is None else chosen

        return ask
    if isinstance(map_location, dict):
        return lambda storage, location: _on_cpu(storage, map_location.get(location, location))
    if map_location is not None:
        name = map_location.decode() if isinstance(map_location, bytes) else str(map_location)
        return lambda storage, location: _on_cpu(storage, name)
    return _on_cpu


def _on_cpu(storage: UntypedStorage, location) -> UntypedStorage:
    """The storage, if it belongs on the CPU."""
    location = location.decode() if isinstance(location, bytes) else str(location)
    if location != "cpu":
        kind = location.partition(":")[0]
        raise RuntimeError(
            f"Attempting to deserialize object on a {kind.upper()} device but torch.{kind}.is_available() is "
            "False. If you are running on a CPU-only machine, please use torch.load with "
            "map_location=torch.device('cpu') to map your storages to the CPU."
        )
    return storage
