"""Autocast and gradient scaling on CUDA devices: as there are none, they warn and do nothing."""

from rushlight.amp.deprecated import classes, custom_bwd, custom_fwd

autocast, GradScaler = classes("cuda")

from rushlight.cuda.amp import autocast_mode, common, grad_scaler  # noqa: E402, F401  of the classes above
from rushlight.cuda.amp.common import amp_definitely_not_available  # noqa: E402

__all__ = ["GradScaler", "amp_definitely_not_available", "autocast", "custom_bwd", "custom_fwd"]
