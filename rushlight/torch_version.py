"""PyTorch's version string, which compares as versions do: `torch.__version__ >= "2.4"`."""

import re

from rushlight import version

__all__ = ["TorchVersion"]

_PARTS = re.compile(
    r"v?(\d+(?:\.\d+)*)[-_.]?((?:a|b|c|rc|alpha|beta)\.?\d*)?(\.?(?:post|dev)\d*)?(?:\+(.+))?"
)


def _order(text: str) -> tuple:
    """What sorts versions; ValueError where the text is none (PEP 440, without epochs)."""
    found = _PARTS.fullmatch(text.strip().lower())
    if not found:
        raise ValueError(f"not a version: {text!r}")
    release, early, late, local = found.groups()
    numbers = [int(n) for n in release.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    late = late or ""
    only_dev = "dev" in late and not early  # before any alpha
    stage = (not only_dev, early is None, early or "", "post" in late, late)
    return tuple(numbers), stage, local or ""


class TorchVersion(str):
    """A version that is a string, and compares with strings and tuples as versions do.

    >>> import rushlight as torch
    >>> v = torch.torch_version.TorchVersion("2.13.0")
    >>> v > "2.4", v >= (2, 13), v.startswith("2.")
    (True, True, True)
    """

    __slots__ = ()
    __hash__ = str.__hash__

    def _compared(self, other, method: str) -> bool:
        text = other if isinstance(other, str) else ".".join(map(str, getattr(other, "release", other)))
        try:
            return getattr(tuple, method)(_order(str(self)), _order(text))
        except ValueError:  # as any other text
            return getattr(str, method)(self, other)

    def __lt__(self, other):
        return self._compared(other, "__lt__")

    def __le__(self, other):
        return self._compared(other, "__le__")

    def __eq__(self, other):
        return self._compared(other, "__eq__")

    def __ge__(self, other):
        return self._compared(other, "__ge__")

    def __gt__(self, other):
        return self._compared(other, "__gt__")

    def __ne__(self, other):
        return not self == other


#: What programs find that ask which PyTorch they run on: the release whose names and behaviour are ours.
__version__ = TorchVersion(f"2.13.0+rushlight.{version.__version__}")
