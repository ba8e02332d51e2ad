"""What `importlib.metadata` says of the packages that Rushlight stands in for (`as_torch`)."""

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import Distribution
from pathlib import Path

from rushlight import torch_version
from rushlight.aliases import ALIASES

#: Distributions by their normalised names, with the modules they bring.
_MODULES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "pytorch-lightning": "pytorch_lightning",
    "lightning": "lightning",
}


class StandIn(Distribution):
    """A distribution of that name, as far as its name and version go.

    >>> from rushlight.installed import StandIn
    >>> StandIn("torchvision").version
    '0.28.0'
    """

    def __init__(self, name: str):
        self._stands_for = name

    def read_text(self, filename) -> str | None:
        """The text of a file of the distribution's records; None for those that it hasn't."""
        if filename == "top_level.txt":
            return f"{_MODULES[self._stands_for]}\n"
        if filename != "METADATA":
            return None
        if self._stands_for == "torch":
            version = torch_version.__version__
        else:
            version = import_module(ALIASES[_MODULES[self._stands_for]]).__version__
        return f"Metadata-Version: 2.1\nName: {self._stands_for}\nVersion: {version}\n"

    def locate_file(self, path) -> Path:
        """Where a file of the distribution would be."""
        return Path(__file__).parents[1] / path


def stand_ins(context) -> Iterator[StandIn]:
    """The distributions that a query of `importlib.metadata` is after; none where it asks for given folders."""
    if "path" in vars(context):
        return iter(())
    wanted = context.name and re.sub(r"[-_.]+", "-", context.name).lower()
    return (StandIn(name) for name in _MODULES if wanted in (None, name))
