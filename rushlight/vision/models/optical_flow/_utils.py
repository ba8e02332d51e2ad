"""Sampling at places given in pixels, and larger maps of movements."""

import rushlight as torch
from rushlight.nn import functional as F


def grid_sample(img, absolute_grid, mode: str = "bilinear", align_corners: bool | None = None):
    """`functional.grid_sample` at places (N, H, W, 2) given as columns and rows."""
    height, width = img.shape[-2:]
    x, y = absolute_grid.split([1, 1], dim=-1)
    x = 2 * x / (width - 1) - 1
    if height > 1:  # pictures of one row are compared along it only
        y = 2 * y / (height - 1) - 1
    return F.grid_sample(img, torch.cat([x, y], dim=-1), mode=mode, align_corners=align_corners)


def make_coords_grid(batch_size: int, h: int, w: int, device: str = "cpu"):
    """The column and the row of every pixel, (batch_size, 2, h, w)."""
    rows, columns = torch.meshgrid(
        torch.arange(h, device=device), torch.arange(w, device=device), indexing="ij"
    )
    return torch.stack([columns, rows]).float()[None].repeat(batch_size, 1, 1, 1)


def upsample_flow(flow, up_mask=None, factor: int = 8):
    """Movements (N, C, H, W) of larger pictures: `factor` times as many, and as large.

    Args:
        flow: the movements.
        up_mask: (N, 9 * factor ** 2, H, W), what of the nine neighbours each pixel is a mean of, before a softmax;
            bilinear interpolation by default.
        factor: by how much.

    Source: Teed and Deng, RAFT, 2020, appendix B.
    """
    batch, channels, height, width = flow.shape
    size = height * factor, width * factor
    if up_mask is None:
        return factor * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)
    weights = torch.softmax(up_mask.view(batch, 1, 9, factor, factor, height, width), dim=2)
    near = F.unfold(factor * flow, kernel_size=3, padding=1).view(batch, channels, 9, 1, 1, height, width)
    return (weights * near).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(batch, channels, *size)
