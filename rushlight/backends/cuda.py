"""Switches of CUDA, of which this version has none."""

import contextlib


class _Matmul:
    """The precision of products on CUDA devices; settings are kept and change nothing."""

    allow_tf32 = False
    fp32_precision = "none"
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True
    allow_fp16_accumulation = False


matmul = _Matmul()
_enabled = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """Whether Rushlight has CUDA kernels: False."""
    return False


def _switch(kind: str):
    def enable(enabled: bool) -> None:
        _enabled[kind] = bool(enabled)

    def is_enabled() -> bool:
        return _enabled[kind]

    enable.__doc__ = f"Remember whether {kind} attention is wanted; on the CPU there is one way."
    is_enabled.__doc__ = f"What was last said to the switch for {kind} attention; True at first."
    return enable, is_enabled


enable_flash_sdp, flash_sdp_enabled = _switch("flash")
enable_mem_efficient_sdp, mem_efficient_sdp_enabled = _switch("mem_efficient")
enable_math_sdp, math_sdp_enabled = _switch("math")
enable_cudnn_sdp, cudnn_sdp_enabled = _switch("cudnn")


@contextlib.contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Choose kinds of attention for a block: accepted, as on the CPU there is one way.

    >>> import rushlight as torch
    >>> with torch.backends.cuda.sdp_kernel(enable_math=False):
    ...     torch.backends.cuda.math_sdp_enabled()
    False
    """
    before = dict(_enabled)
    _enabled.update(
        flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn
    )
    try:
        yield
    finally:
        _enabled.update(before)
