"""opt_einsum, which is not used: `einsum` contracts from left to right."""

enabled = False
strategy = None


def is_available() -> bool:
    """Whether opt_einsum is used: False."""
    return False


def get_opt_einsum() -> None:
    """The package: None, as it is not used."""
