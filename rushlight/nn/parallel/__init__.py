"""A model on several devices, of which this version has one: the CPU."""

from rushlight.nn.parallel.data_parallel import DataParallel

__all__ = ["DataParallel"]
