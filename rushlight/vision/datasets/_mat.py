"""Reader of MATLAB files of version 5: arrays of numbers, also sparse ones, texts, cells and structures."""

import zlib

import numpy as np

_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_CELL, _STRUCT, _CHAR, _SPARSE = 1, 2, 4, 5
_MATRIX, _COMPRESSED = 14, 15
_ENCODINGS = {1: "ascii", 2: "ascii", 4: "utf-16", 16: "utf-8", 17: "utf-16"}


def read_mat(path) -> dict:
    """What is in a .mat file by name; what is no real number, text, cell or structure is left out.

    Texts are strings, sparse arrays full ones, cells lists, and structures lists of dicts, in the order in memory.

    Args:
        path: the file.

    Raises:
        RuntimeError: no such file, or a damaged one.

    Source: "MAT-File Format", The MathWorks, version 5.
    """
    with open(path, "rb") as file:
        content = memoryview(file.read())
    try:
        order = {b"IM": "<", b"MI": ">"}[bytes(content[126:128])]
        found = {}
        for kind, data in _elements(content[128:], order):
            if kind == _COMPRESSED:
                kind, data = next(_elements(memoryview(zlib.decompress(data)), order))
            if kind == _MATRIX:
                name, value = _value(data, order)
                if value is not None:
                    found[name] = value
        return found
    except (KeyError, ValueError, IndexError, StopIteration, UnicodeDecodeError, zlib.error) as error:
        raise RuntimeError(f"{path}: no MATLAB file of version 5, or a damaged one ({error!r})") from error


def _elements(data: memoryview, order: str):
    """(type, content) of each element."""
    at = 0
    while at + 8 <= len(data):
        kind, size = (int(v) for v in np.frombuffer(data, order + "u4", 2, at))
        if kind >> 16:  # the content of up to 4 bytes is in the tag
            kind, size = kind & 0xFFFF, kind >> 16
            yield kind, data[at + 4 : at + 4 + size]
            at += 8
            continue
        if at + 8 + size > len(data):
            raise ValueError(f"truncated: an element of {size} bytes has {len(data) - at - 8}")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (-size % 8 if kind != _COMPRESSED else 0)


def _value(data: memoryview, order: str) -> tuple:
    """(name, value) of a matrix element; the value is None where it is of a kind that isn't read."""
    parts = _elements(data, order)
    flags = int(np.frombuffer(next(parts)[1], order + "u4", 1)[0])
    shape = np.frombuffer(next(parts)[1], order + "i4").tolist()
    name = bytes(next(parts)[1]).decode("ascii")
    kind = flags & 0xFF
    if kind in _CLASSES and not flags & 0x0800:  # the flag of complex numbers
        return name, _numbers(next(parts), order).astype(_CLASSES[kind]).reshape(shape, order="F")
    if kind == _CHAR:
        width, content = next(parts)
        encoding = _ENCODINGS[width]
        if encoding == "utf-16":
            encoding += "-le" if order == "<" else "-be"
        return name, bytes(content).decode(encoding)
    if kind == _CELL:
        return name, [_nested(part, order) for part in parts]
    if kind == _STRUCT:
        length = int(np.frombuffer(next(parts)[1], order + "i4", 1)[0])
        texts = bytes(next(parts)[1])
        fields = [texts[i : i + length].split(b"\0")[0].decode("ascii") for i in range(0, len(texts), length)]
        values = [_nested(part, order) for part in parts]
        count = len(fields)
        return name, [
            dict(zip(fields, values[i : i + count], strict=True)) for i in range(0, len(values), count)
        ]
    if kind == _SPARSE and not flags & 0x0800:
        return name, _sparse(shape, *(_numbers(part, order) for part in parts))
    return name, None


def _nested(part, order: str):
    kind, data = part
    if kind != _MATRIX:
        raise ValueError(f"an element of type {kind} where a matrix should be")
    return _value(data, order)[1] if len(data) else None


def _numbers(part, order: str) -> np.ndarray:
    kind, content = part
    return np.frombuffer(content, order + _TYPES[kind])


def _sparse(shape, rows, starts, values) -> np.ndarray:
    """The full array of one that is stored by columns."""
    out = np.zeros(shape, values.dtype)
    columns = np.repeat(np.arange(shape[1]), np.diff(starts))
    out[rows[: len(columns)], columns] = values[: len(columns)]
    return out
