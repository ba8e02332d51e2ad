"""The functional form of an op, in either framework."""

import rushlight
from rushlight.ops.registry import OPS

RENAMED = {"unfold": "im2col", "fold": "col2im"}


class _Functional:
    def __getattr__(self, name: str):
        return OPS[RENAMED.get(name, name)].function


_OURS = _Functional()


def F(torch):
    """`torch.nn.functional` of PyTorch; of ours, the ops themselves."""
    return _OURS if torch is rushlight else torch.nn.functional
