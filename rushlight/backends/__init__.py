"""PyTorch's switches for its backends: accepted, so that scripts run, and answered truthfully.

Rushlight has one backend, the CPU. Attributes such as `cudnn.benchmark` can be set and change nothing.
"""

from contextlib import nullcontext

from rushlight.backends import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]


def __allow_nonbracketed_mutation():
    """For a `with` block in which switches may be set; here they may be set anywhere."""
    return nullcontext()
