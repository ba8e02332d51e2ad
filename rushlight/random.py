"""Generators of random numbers, and the default one's state.

After the same `manual_seed`, everything random gives the numbers that PyTorch gives on a CPU. States are
PyTorch's bytes and can be exchanged with it.
"""

import os
from contextlib import contextmanager

import numpy as np

from rushlight import devices
from rushlight import kernels as K
from rushlight.tensor import Tensor, wrap

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


class Generator:
    """A stream of random numbers; the operations that draw take it as `generator=`.

    Args:
        device: the CPU.
    Raises:
        RuntimeError: another device is given.

    >>> import rushlight as torch
    >>> g = torch.Generator().manual_seed(1)
    >>> torch.rand(2, generator=g)
    tensor([0.7576, 0.2793])
    """

    def __init__(self, device="cpu"):
        if devices.device(device).type != "cpu":
            raise RuntimeError(
                f"Generator: Device type {device} is not supported for torch.Generator(): use 'cpu'"
            )
        self._stream = K.MT19937()

    @property
    def device(self) -> devices.device:
        """Where it lies: the CPU."""
        return devices.cpu

    def manual_seed(self, seed: int) -> "Generator":
        """Start the stream that this seed gives; returns itself.

        Args:
            seed: from -2^63 to 2^64 - 1; negative ones stand for 2^64 more.
        Raises:
            RuntimeError: it is no integer. ValueError: it is out of range.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"Overflow when unpacking long long: manual_seed got {seed}")
        self._stream.seed(int(seed) % 2**64)
        return self

    def seed(self) -> int:
        """Start a stream that nobody can foresee; returns the number it was seeded with."""
        self._stream.seed(int.from_bytes(os.urandom(8), "little"))
        return self.initial_seed()

    def initial_seed(self) -> int:
        """The number that it was last seeded with."""
        return self._stream.initial_seed

    def get_state(self) -> Tensor:
        """Its state: 5056 bytes, in PyTorch's layout."""
        return wrap(self._stream.get_state())

    def set_state(self, new_state: Tensor) -> "Generator":
        """Go on where `get_state` was called, here or in PyTorch; returns itself.

        Raises:
            TypeError: it is no tensor of bytes. RuntimeError: it is no generator's state.
        """
        if not isinstance(new_state, Tensor):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        if new_state._array.dtype != np.uint8:
            raise TypeError(f"RNG state must be a torch.ByteTensor, got a tensor of {new_state.dtype}")
        self._stream.set_state(np.ascontiguousarray(new_state._array))
        return self

    def clone_state(self) -> "Generator":
        """Another generator in the same state."""
        other = Generator()
        other._stream.set_state(self._stream.get_state())
        return other

    def get_offset(self) -> int:
        """There is none on a CPU."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset: int) -> None:
        """There is none on a CPU."""
        raise RuntimeError("CPU Generator does not use offset")

    def __getstate__(self):
        return self._stream.get_state()

    def __setstate__(self, state):
        self.__init__()
        self._stream.set_state(state)


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Start the default generator's stream anew; returns the generator.

    Args:
        seed: from -2^63 to 2^64 - 1; negative ones stand for 2^64 more.
    Raises:
        ValueError: it is out of range.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2)
    tensor([0.4963, 0.7682])
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seed the default generator with a number that nobody can foresee; returns the number."""
    return default_generator.seed()


def initial_seed() -> int:
    """The number that the default generator was last seeded with.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator, as a tensor of bytes."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the default generator into a state that `get_rng_state` returned.

    >>> import rushlight as torch
    >>> state = torch.get_rng_state()
    >>> x = torch.rand(3)
    >>> torch.set_rng_state(state)
    >>> torch.equal(x, torch.rand(3))
    True
    """
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type=None):
    """A context after which the default generator is back in the state it had before.

    Args:
        devices: further devices whose generators to fork; there are none.
        enabled: False to leave everything as it is.
        device_type: the type of those devices.
    Raises:
        RuntimeError: there are devices named in `devices`.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(0)
    >>> with torch.random.fork_rng():
    ...     x = torch.rand(1)
    >>> torch.equal(x, torch.rand(1))
    True
    """
    if not enabled:
        yield
        return
    if devices is not None and list(devices):
        raise RuntimeError(f"{_caller}: expected no devices but the CPU; leave {_devices_kw} out")
    state = default_generator._stream.get_state()
    try:
        yield
    finally:
        default_generator._stream.set_state(state)
