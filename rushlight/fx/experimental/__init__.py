"""What other packages ask of PyTorch's experiments with graphs."""

from rushlight.fx.experimental import optimization, proxy_tensor

__all__ = ["optimization", "proxy_tensor"]
