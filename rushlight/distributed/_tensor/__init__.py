"""The former name of `distributed.tensor`, which programs still import from."""

import sys

from rushlight.distributed.tensor import *  # noqa: F403
from rushlight.distributed.tensor import DeviceMesh, _utils, experimental, init_device_mesh  # noqa: F401

for _module in (_utils, experimental):
    sys.modules[f"{__name__}.{_module.__name__.rpartition('.')[2]}"] = _module
