"""Connectionist temporal classification."""

from rushlight.kernels.reference.ctc import __all__, ctc_loss, ctc_loss_backward  # noqa: F401
