"""oneDNN, which computes convolutions and products of float32."""

from rushlight import kernels as K

enabled = True
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether the native kernels, which carry oneDNN, are in use.

    >>> import rushlight as torch
    >>> isinstance(torch.backends.mkldnn.is_available(), bool)
    True
    """
    return K.NAME == "native"
