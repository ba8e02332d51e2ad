"""Apple's GPUs, which this version doesn't use."""


def is_available() -> bool:
    """Whether an Apple GPU can be used: False.

    >>> import rushlight as torch
    >>> torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device(type='cpu')
    """
    return False


def is_built() -> bool:
    """Whether Rushlight has kernels for Apple GPUs: False."""
    return False
