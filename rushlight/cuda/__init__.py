"""CUDA, of which this version has no devices: scripts may ask, and are told the truth."""

from rushlight.cuda import amp as amp
from rushlight.devices import check_device


def is_available() -> bool:
    """Whether there is a CUDA device: False.

    >>> import rushlight as torch
    >>> torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device(type='cpu')
    """
    return False


def device_count() -> int:
    """The number of CUDA devices: 0."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA has been started: False."""
    return False


def manual_seed(seed: int) -> None:
    """Seed the random numbers of the CUDA device; as there is none, nothing is done, as in PyTorch."""


def manual_seed_all(seed: int) -> None:
    """Seed the random numbers of all CUDA devices; as there is none, nothing is done, as in PyTorch."""


def empty_cache() -> None:
    """Give unused CUDA memory back; as there is none, nothing is done, as in PyTorch."""


def current_device() -> int:
    """The number of the current CUDA device: raises RuntimeError, as there is none."""
    check_device("cuda")
    return -1


def synchronize(device=None) -> None:
    """Wait for a CUDA device: raises RuntimeError, as there is none."""
    check_device("cuda")


def get_device_name(device=None) -> str:
    """The name of a CUDA device: raises RuntimeError, as there is none."""
    check_device("cuda")
    return ""
