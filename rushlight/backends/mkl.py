"""Intel MKL, which is not used: NumPy carries the LAPACK."""


def is_available() -> bool:
    """Whether MKL is used: False."""
    return False
