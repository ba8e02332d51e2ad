"""Weight normalization."""

from tests.ops.table import Row, T


def scaled(dim, shape, lengths, id):
    """A weight from direction and length."""
    call = lambda torch, v, g: torch._weight_norm(v, g, dim)
    # PyTorch's second derivative is wrong for the first and last dimension: its own gradgradcheck refuses it.
    return Row("_weight_norm", call, (T(shape), T(lengths)), id=id, grad2=dim not in (0, len(shape) - 1))


ROWS = [
    scaled(0, (3, 4), (3, 1), "rows"), scaled(1, (3, 4), (1, 4), "columns"), scaled(-1, (3, 4), (), "all"),
    scaled(0, (2, 3, 2, 2), (2, 1, 1, 1), "4-D"), scaled(1, (2, 3, 2, 2), (1, 3, 1, 1), "middle"),
    *[Row("norm_except_dim", lambda torch, v, d=d, p=p: torch.norm_except_dim(v, p, d), (T((2, 3, 4)),), id=f"{d}-{p}")
      for d in (0, 1, 2, -1) for p in (1, 2)],
]  # fmt: skip
