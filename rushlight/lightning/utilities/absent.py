"""Names that Lightning has for machines and services that there are not here."""


def absent(name: str, instead: str, base: type = object) -> type:
    """A class that scripts can import, but not make.

    Args:
        name: of the class.
        instead: what to use in its place.
        base: its base class, for `isinstance`.

    >>> try:
    ...     absent("TPU", "use the CPU")()
    ... except NotImplementedError as error:
    ...     print(error)
    TPU is not here: use the CPU
    """

    def refuse(self, *args, **kwargs):
        raise NotImplementedError(f"{name} is not here: {instead}")

    return type(
        name, (base,), {"__init__": refuse, "__doc__": f"Not here: {instead}.", "__module__": base.__module__}
    )
