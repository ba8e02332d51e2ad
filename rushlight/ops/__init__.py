"""Every differentiable operation, by family; importing them makes them Tensor methods."""

from rushlight.ops import comparison, convert, elementwise, unary  # noqa: F401
