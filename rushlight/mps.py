"""Apple's GPUs, of which this version uses none: scripts may ask, and are told the truth."""


def is_available() -> bool:
    """Whether there is such a device: False."""
    return False


def device_count() -> int:
    """The number of such devices: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the device's random numbers; as there is none, nothing is done."""


def empty_cache() -> None:
    """Give unused memory back; as there is none, nothing is done."""
