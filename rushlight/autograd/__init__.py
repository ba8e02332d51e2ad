"""Automatic differentiation: the recorded graph, backward passes, and tools on top of them."""

from rushlight.autograd.backward import backward, grad
from rushlight.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)

from rushlight.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly  # isort: skip
from rushlight.autograd.function import Function  # isort: skip
from rushlight.autograd.gradcheck import gradcheck, gradgradcheck  # isort: skip
from rushlight.autograd.variable import Variable  # isort: skip
from rushlight.autograd import forward_ad, function, functional, graph  # isort: skip

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
]
