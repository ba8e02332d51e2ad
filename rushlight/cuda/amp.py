"""Autocast and gradient scaling on CUDA devices: as there are none, they warn and do nothing."""

from rushlight.amp.deprecated import classes, custom_bwd, custom_fwd

autocast, GradScaler = classes("cuda")

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]
