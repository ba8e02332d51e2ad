"""The names by which torchvision says what reads pictures and films."""


def get_image_backend() -> str:
    """What reads pictures: always "PIL"."""
    return "PIL"


def set_image_backend(backend: str) -> None:
    """Choose what reads pictures; there is only "PIL".

    Raises:
        NotImplementedError: it is "accimage", which is not offered.
        ValueError: it is something else.
    """
    if backend == "accimage":
        raise NotImplementedError("set_image_backend: accimage is not offered; pictures are read by PIL")
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}'. Options are 'PIL' and 'accimage'")


def get_video_backend() -> str:
    """What would read films under torchvision: "pyav"."""
    return "pyav"


def set_video_backend(backend: str) -> None:
    """Has no effect, as in torchvision since it knows one only; films are not read here."""


def disable_beta_transforms_warning() -> None:
    """Has no effect: there is no such warning any more."""
