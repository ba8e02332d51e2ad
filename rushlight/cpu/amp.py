"""Autocast and gradient scaling on the CPU, under their old names: see `torch.amp`."""

from rushlight.amp.deprecated import classes

autocast, GradScaler = classes("cpu")

__all__ = ["GradScaler", "autocast"]
