"""Rushlight: a small, fast deep-learning framework for the CPU that speaks PyTorch's API.

    import rushlight as torch
"""

from rushlight import autograd
from rushlight.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from rushlight.tensor import Tensor
from rushlight import ops
