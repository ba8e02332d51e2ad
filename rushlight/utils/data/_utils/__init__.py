"""Where PyTorch keeps `collate`; scripts import it from here."""

from rushlight.utils.data._utils import collate

__all__ = ["collate"]
