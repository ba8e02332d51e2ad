"""The CPU as a backend."""

from rushlight import kernels as K


def get_cpu_capability() -> str:
    """The instruction set that the kernels use: "AVX512", "AVX2" or "DEFAULT".

    >>> import rushlight as torch
    >>> torch.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "DEFAULT")
    True
    """
    if K.NAME != "native":
        return "DEFAULT"
    from rushlight import _native

    return {"avx512": "AVX512", "avx2": "AVX2"}.get(_native.cpu_level(), "DEFAULT")
