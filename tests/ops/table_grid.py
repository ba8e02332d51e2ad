"""Sampling at given places."""

import warnings

from tests.ops.functional import F
from tests.ops.table import Row, T

IMAGE, PLACES = T((2, 3, 4, 5)), T((2, 3, 6, 2), -1.4, 1.4)
VOLUME, SPACES = T((2, 2, 3, 4, 3)), T((2, 2, 3, 4, 3), -1.4, 1.4)


def sample(mode, padding, align, inputs=(IMAGE, PLACES)):
    """One mode of sampling."""
    call = lambda torch, x, grid: F(torch).grid_sample(x, grid, mode, padding, align)
    name = f"{len(inputs[0].shape)}D-{mode}-{padding}-{'aligned' if align else 'edges'}"
    return Row("grid_sample", call, inputs, id=name, tol32=1e-4, fd=mode != "nearest")


def maps(n, align, size, id=""):
    """The places of affine maps."""
    call = lambda torch, theta: F(torch).affine_grid(theta, (2, 3, *size), align)
    return Row("affine_grid", call, (T((2, n, n + 1)),), id=f"{n}D-{align}{id}")


def _default(torch, x, grid):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return F(torch).grid_sample(x, grid)


def _special(torch, x):
    grid = torch.tensor([[[[float("nan"), 0.0], [float("inf"), 0.0], [1e30, 1.0], [-1.0, 1.0]]]])
    return [
        F(torch).grid_sample(x, grid, mode, padding, True)
        for mode, padding in (("bilinear", "zeros"), ("nearest", "zeros"), ("bilinear", "border"))
    ]


def _channels_last(torch, x, grid):
    x = x.contiguous(memory_format=torch.channels_last)
    return F(torch).grid_sample(x, grid, align_corners=False)


def wrong(*cases):
    """Calls that must fail: the shapes of input and grid, and the settings."""
    return tuple(
        lambda torch, x=x, grid=grid, args=args: F(torch).grid_sample(torch.zeros(x), torch.zeros(grid), *args, align_corners=False)
        for x, grid, *args in cases
    )  # fmt: skip


def numbered(name, inputs):
    """The function that takes modes as numbers."""
    call = lambda torch, x, grid: getattr(torch, name)(x, grid, 0, 1, True)
    return Row(name, call, inputs)


X, G = (1, 2, 3, 4), (1, 5, 6, 2)
WRONG_MAPS = tuple(
    lambda torch, shape=shape, size=size: F(torch).affine_grid(torch.zeros(shape), size, align_corners=False)
    for shape, size in (((1, 2, 3), (1, 1, 2)), ((1, 3, 3), (1, 1, 2, 2)), ((1, 2, 3), (2, 1, 2, 2)),
                        ((1, 2, 3), (1, 1, 0, 2)))
)  # fmt: skip
ROWS = [
    *[sample(mode, padding, align) for mode in ("bilinear", "nearest", "bicubic")
      for padding in ("zeros", "border", "reflection") for align in (True, False)],
    *[sample(mode, padding, align, (VOLUME, SPACES)) for mode in ("bilinear", "nearest")
      for padding in ("zeros", "border", "reflection") for align in (True, False)],
    *[sample("bilinear", padding, True, (T((1, 2, 1, 1)), T((1, 3, 3, 2), -3.0, 3.0)))
      for padding in ("zeros", "border", "reflection")],
    sample("bilinear", "reflection", False, (T((1, 2, 3, 3)), T((1, 3, 3, 2), -7.0, 7.0))),
    Row("grid_sample", _default, (IMAGE, PLACES), tol32=1e-4, id="default", wrong=(
        *wrong((X, G, "linear"), (X, G, "nearest", "same"), (X, (2, 5, 6, 2)), (X, (1, 5, 6, 3)), (X, (1, 5, 2)),
               ((1, 2, 3), (1, 5, 6, 1)), ((1, 2, 0, 4), G), ((1, 2, 3, 4, 5), (1, 2, 3, 4, 3), "bicubic")),
        lambda torch: F(torch).grid_sample(torch.zeros(X), torch.zeros(G, dtype=torch.float64), align_corners=True),
    )),
    Row("grid_sample", lambda torch, x, grid: F(torch).grid_sample(x, grid, align_corners=True),
        (T((0, 3, 4, 5)), T((0, 3, 6, 2))), fd=False, id="empty"),
    Row("grid_sample", _channels_last, (T((2, 9, 4, 5)), T((2, 11, 13, 2), -1.3, 1.3)), tol32=1e-4,
        id="channels-last"),
    Row("grid_sample", lambda torch, x, grid: F(torch).grid_sample(x.detach(), grid, align_corners=True),
        (IMAGE, PLACES), tol32=1e-4, fd=False, id="places-only"),
    Row("grid_sample", _special, (T((1, 2, 3, 4)),), grad=False, dtypes=("float32",), id="special"),
    numbered("grid_sampler", (IMAGE, PLACES)), numbered("grid_sampler_2d", (IMAGE, PLACES)),
    numbered("grid_sampler_3d", (VOLUME, SPACES)),
    *[maps(2, align, (4, 5)) for align in (True, False)], *[maps(3, align, (3, 4, 2)) for align in (True, False)],
    maps(2, False, (1, 3), "one"),
    Row("affine_grid", lambda torch, t: F(torch).affine_grid(t, [2, 1, 3, 3], align_corners=True), (T((2, 2, 3)),),
        wrong=WRONG_MAPS, id="wrong"),
    Row("affine_grid_generator", lambda torch, t: torch.affine_grid_generator(t, (2, 1, 3, 3), True), (T((2, 2, 3)),)),
]  # fmt: skip
