"""Reader of the numeric arrays in MATLAB files of version 5."""

import zlib

import numpy as np

_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_MATRIX, _COMPRESSED = 14, 15


def read_mat(path) -> dict[str, np.ndarray]:
    """The real numeric arrays in a .mat file; others in it are left out.

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
            if kind == _MATRIX and (named := _array(data, order)):
                found[named[0]] = named[1]
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


def _array(data: memoryview, order: str):
    """(name, array) of a matrix element; None unless it holds real numbers."""
    parts = _elements(data, order)
    flags = int(np.frombuffer(next(parts)[1], order + "u4", 1)[0])
    if flags & 0xFF not in _CLASSES or flags & 0x0800:  # the flag of complex numbers
        return None
    shape = np.frombuffer(next(parts)[1], order + "i4").tolist()
    name = bytes(next(parts)[1]).decode("ascii")
    kind, content = next(parts)
    values = np.frombuffer(content, order + _TYPES[kind]).astype(_CLASSES[flags & 0xFF])
    return name, values.reshape(shape, order="F")
