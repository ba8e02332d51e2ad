"""Every differentiable operation, by family; importing them makes them Tensor methods."""

from rushlight.ops import (  # noqa: F401
    activation,
    comparison,
    conv,
    convert,
    dropout,
    elementwise,
    normalization,
    pooling,
    resize,
    unary,
)
