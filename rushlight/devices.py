"""Where and how tensors lie in memory: `device`, `layout`, `memory_format`, and `Size`."""

import operator
from math import prod


class Size(tuple):
    """The shape of a tensor: a tuple of its dimensions.

    >>> import rushlight as torch
    >>> torch.Size([2, 3]).numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        return prod(self)

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, index):
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))

    def __radd__(self, other):
        return Size(tuple(other) + tuple(self))

    def __mul__(self, times):
        return Size(tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __reduce__(self):
        return Size, (tuple(self),)


_KNOWN = ("cpu", "cuda", "mps", "xpu", "meta", "hpu", "mtia", "xla", "vulkan", "ipu", "privateuseone")


class device:
    """A place for tensors. Only the CPU holds any in this version; other names can be named and compared.

    Args:
        type: "cpu", or "cuda", "cuda:1" …, or a device.
        index: the number of the device of that type.

    >>> import rushlight as torch
    >>> torch.device("cpu")
    device(type='cpu')
    """

    __slots__ = ("index", "type")

    def __init__(self, type, index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        if isinstance(type, int):
            type, index = "cuda", type
        if not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' must be str, got {type.__class__.__name__}")
        name, colon, number = type.partition(":")
        if name not in _KNOWN:
            raise RuntimeError(
                f"Expected one of {', '.join(_KNOWN)} device type at start of device string: {type}"
            )
        if colon:
            if index is not None:
                raise RuntimeError(
                    f"type (string) must not include an index because index was passed: {type}"
                )
            if not number.isdecimal() or str(int(number)) != number:
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        self.type = name
        self.index = None if index is None else operator.index(index)

    def __repr__(self) -> str:
        return (
            f"device(type='{self.type}')"
            if self.index is None
            else f"device(type='{self.type}', index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        if not isinstance(other, device):
            return NotImplemented
        return self.type == other.type and self.index == other.index

    def __hash__(self):
        return hash((self.type, self.index))

    def __enter__(self) -> "device":
        """A block whose new tensors are on this device: the CPU, or "meta"."""
        if is_meta(self):
            from rushlight import meta_tensor

            meta_tensor.enter()
        else:
            check_device(self)
        return self

    def __exit__(self, *exc) -> bool:
        if is_meta(self):
            from rushlight import meta_tensor

            meta_tensor.leave()
        return False

    def __reduce__(self):
        return device, (self.type, self.index) if self.index is not None else (self.type,)


cpu, meta = device("cpu"), device("meta")


def is_meta(where) -> bool:
    """Whether an argument names the device "meta", where tensors have no memory."""
    return where is not None and (where if type(where) is device else device(where)).type == "meta"


class AcceleratorError(RuntimeError):
    """What went wrong on a device; raised by none here, for programs that catch it."""


class OutOfMemoryError(RuntimeError):
    """A device has no memory left; raised by none here, for programs that catch it."""


def check_device(where) -> device:
    """The device that an argument names, which must be one that holds tensors: the CPU.

    Raises:
        AssertionError: it names a CUDA device, as in PyTorch's CPU build.
        RuntimeError: it names another device that this version does not have.
    """
    if where is None:
        return cpu
    wanted = device(where)
    if wanted.type == "cpu":
        return wanted
    if wanted.type == "cuda":
        raise AssertionError(
            "Torch not compiled with CUDA enabled: Rushlight runs on the CPU, got device="
            f"{str(wanted)!r}. Guard with torch.cuda.is_available(), or use device='cpu'."
        )
    if wanted.type == "meta":
        raise NotImplementedError(
            "device='meta' is not supported by this function. Make the tensor in a block: with torch.device('meta'): ..."
        )
    raise RuntimeError(
        f"device: expected 'cpu', got {str(wanted)!r}, which Rushlight does not support. Use device='cpu'."
    )


class layout:
    """How a tensor's elements are stored: `torch.strided`, `torch.jagged`, `torch.sparse_coo`, `torch.sparse_csr`."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self):
        return self.name


class memory_format:
    """The order of a dense tensor's dimensions in memory, such as `torch.channels_last`."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self):
        return self.name


strided = layout("strided")
jagged = layout("jagged")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
