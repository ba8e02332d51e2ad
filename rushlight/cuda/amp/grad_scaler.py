"""PyTorch's path to the scaler of gradients on CUDA devices."""

from rushlight.amp.grad_scaler import OptState as OptState
from rushlight.cuda.amp import GradScaler

__all__ = ["GradScaler"]
