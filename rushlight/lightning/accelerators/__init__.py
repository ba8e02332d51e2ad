"""Accelerators under Lightning's names: there is the CPU."""

import sys

import rushlight as torch

__all__ = [
    "Accelerator", "CPUAccelerator", "CUDAAccelerator", "MPSAccelerator", "XLAAccelerator", "find_usable_cuda_devices",
]  # fmt: skip


class Accelerator:
    """What a run computes on."""

    @staticmethod
    def name() -> str:
        """As `Trainer(accelerator=...)` takes it."""
        raise NotImplementedError("Accelerator: a subclass needs a method name()")

    @staticmethod
    def is_available() -> bool:
        """Whether there is one."""
        return False

    @staticmethod
    def auto_device_count() -> int:
        """How many there are."""
        return 0

    def setup(self, trainer) -> None:
        """A run begins."""

    def teardown(self) -> None:
        """It has ended."""

    def get_device_stats(self, device) -> dict:
        """What can be said of the device: by names, nothing by default."""
        return {}


class CPUAccelerator(Accelerator):
    """The CPU.

    >>> CPUAccelerator.is_available(), CPUAccelerator.auto_device_count()
    (True, 1)
    """

    @staticmethod
    def name() -> str:
        """Its name: cpu."""
        return "cpu"

    @staticmethod
    def is_available() -> bool:
        """Always."""
        return True

    @staticmethod
    def auto_device_count() -> int:
        """One: a process, which uses all cores by its threads."""
        return 1

    @staticmethod
    def parse_devices(devices) -> int:
        """The number of processes asked for."""
        return int(devices)

    @staticmethod
    def get_parallel_devices(devices: int) -> list:
        """So many times the CPU."""
        return [torch.device("cpu")] * int(devices)


class CUDAAccelerator(Accelerator):
    """GPUs by NVIDIA: there is none."""

    @staticmethod
    def name() -> str:
        """Its name: cuda."""
        return "cuda"


class MPSAccelerator(Accelerator):
    """GPUs by Apple: there is none."""

    @staticmethod
    def name() -> str:
        """Its name: mps."""
        return "mps"


class XLAAccelerator(Accelerator):
    """TPUs: there is none."""

    @staticmethod
    def name() -> str:
        """Its name: tpu."""
        return "tpu"


def find_usable_cuda_devices(num_devices: int = -1) -> list:
    """The GPUs that can be used: none.

    Raises:
        ValueError: some are asked for.
    """
    if num_devices > 0:
        raise ValueError(
            f"You requested to find {num_devices} devices but there are no visible CUDA devices."
        )
    return []


TPUAccelerator = XLAAccelerator
accelerator = cpu = cuda = mps = xla = sys.modules[
    __name__
]  # modules of Lightning: everything is in this one
