"""Tensor images sampled at other places: affine maps, rotation, perspective, elastic displacement."""

import math
import warnings

import rushlight as torch
from rushlight.nn.functional import grid_sample
from rushlight.vision.transforms._functional_tensor import batched, get_dimensions, working_type


def _check_inputs(img, interpolation, fill) -> None:
    channels = get_dimensions(img)[0]
    if fill is not None and not isinstance(fill, (int, float, tuple, list)):
        warnings.warn("Argument fill should be either int, float, tuple or list", stacklevel=4)
    if isinstance(fill, (tuple, list)) and len(fill) > 1 and len(fill) != channels:
        raise ValueError(
            "The number of elements in 'fill' cannot broadcast to match the number of channels of the image "
            f"({len(fill)} != {channels})"
        )
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"Interpolation mode '{interpolation}' is unsupported with Tensor input")


def _sample(img, grid, mode, fill):
    """The image at the places (1, H, W, 2), and `fill` where these are outside."""

    def function(x):
        places = grid.expand(x.shape[0], *grid.shape[1:])
        if fill is None:
            return grid_sample(x, places, mode=mode, padding_mode="zeros", align_corners=False)
        mask = torch.ones((x.shape[0], 1, *x.shape[2:]), dtype=x.dtype)
        out = grid_sample(
            torch.cat((x, mask), 1), places, mode=mode, padding_mode="zeros", align_corners=False
        )
        out, mask = out[:, :-1], out[:, -1:]
        values = fill if isinstance(fill, (tuple, list)) else [float(fill)]
        colour = torch.tensor(values, dtype=x.dtype).view(1, -1, 1, 1)
        if mode == "nearest":
            return torch.where(mask < 0.5, colour, out)
        return out * mask + (1.0 - mask) * colour

    return batched(img, function, (grid.dtype,))


def _places(width, height, first_x, first_y, dtype):
    """Homogeneous coordinates (1, height * width, 3) of all pixels; the first has these."""
    out = torch.ones(1, height, width, 3, dtype=dtype)
    out[..., 0] = torch.linspace(first_x, first_x + width - 1, width)
    out[..., 1] = torch.linspace(first_y, first_y + height - 1, height).unsqueeze(-1)
    return out.view(1, height * width, 3)


def _affine_grid(matrix, dtype, w, h, ow, oh):
    theta = torch.tensor(matrix, dtype=dtype).reshape(1, 2, 3)
    theta = theta.transpose(1, 2) / torch.tensor([0.5 * w, 0.5 * h], dtype=dtype)
    return _places(ow, oh, 0.5 - ow * 0.5, 0.5 - oh * 0.5, dtype).bmm(theta).view(1, oh, ow, 2)


def _check_numbers(values, count: int, name: str) -> None:
    if name == "matrix" and not isinstance(values, list):
        raise TypeError("Argument matrix should be a list")
    if len(values) != count:
        raise ValueError(f"Argument {name} should have {count} float values")


def affine(img, matrix, interpolation="nearest", fill=None):
    return rotate(img, matrix, interpolation, False, fill)


def _rotated_size(matrix, w, h) -> tuple[int, int]:
    """Width and height of the smallest picture that holds the whole turned one."""
    corners = torch.tensor(
        [[x * w, y * h, 1.0] for x, y in ((-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))]
    )
    moved = torch.matmul(corners, torch.tensor(matrix, dtype=torch.float32).view(2, 3).T)
    centre, tol = torch.tensor((w * 0.5, h * 0.5)), 1e-4
    low, high = moved.min(dim=0).values + centre, moved.max(dim=0).values + centre
    size = torch.ceil((high / tol).trunc() * tol) - torch.floor((low / tol).trunc() * tol)
    return int(size[0]), int(size[1])


def rotate(img, matrix, interpolation="nearest", expand=False, fill=None):
    get_dimensions(img)
    _check_numbers(matrix, 6, "matrix")
    _check_inputs(img, interpolation, fill)
    h, w = img.shape[-2:]
    ow, oh = _rotated_size(matrix, w, h) if expand else (w, h)
    return _sample(img, _affine_grid(matrix, working_type(img), w, h, ow, oh), interpolation, fill)


def perspective(img, perspective_coeffs, interpolation="bilinear", fill=None):
    get_dimensions(img)
    _check_numbers(perspective_coeffs, 8, "coeffs")
    _check_inputs(img, interpolation, fill)
    h, w = img.shape[-2:]
    dtype, c = working_type(img), perspective_coeffs
    top = torch.tensor([[c[:3], c[3:6]]], dtype=dtype).transpose(1, 2)
    bottom = torch.tensor([[[c[6], c[7], 1.0]] * 2], dtype=dtype).transpose(1, 2)
    places = _places(w, h, 0.5, 0.5, dtype)
    scaled = places.bmm(top / torch.tensor([0.5 * w, 0.5 * h], dtype=dtype))
    grid = scaled / places.bmm(bottom) - 1.0
    return _sample(img, grid.view(1, h, w, 2), interpolation, fill)


def elastic_transform(img, displacement, interpolation="bilinear", fill=None):
    y, x = (torch.linspace((1 - size) / size, (size - 1) / size, size) for size in img.shape[-2:])
    y, x = torch.meshgrid(y, x, indexing="ij")
    return _sample(img, torch.stack([x, y], -1).unsqueeze(0) + displacement, interpolation, fill)


def perspective_coefficients(startpoints, endpoints) -> list[float]:
    """The eight numbers of the perspective that takes `endpoints` to `startpoints`, by least squares."""
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"Please provide exactly four corners, got {len(startpoints)} startpoints and {len(endpoints)} "
            "endpoints."
        )
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    system = torch.tensor(rows, dtype=torch.float64)
    right = torch.tensor(startpoints, dtype=torch.float64).view(8)
    return torch.linalg.lstsq(system, right, driver="gels").solution.to(torch.float32).tolist()


def inverse_affine_matrix(center, angle, translate, scale, shear, inverted=True) -> list[float]:
    """The first two rows of the matrix M^-1, or M, where M = T * C * Rotation * Scale * Shear * C^-1."""
    rot, sx, sy = (math.radians(value) for value in (angle, *shear))
    (cx, cy), (tx, ty) = center, translate
    a = math.cos(rot - sy) / math.cos(sy)
    b = -math.cos(rot - sy) * math.tan(sx) / math.cos(sy) - math.sin(rot)
    c = math.sin(rot - sy) / math.cos(sy)
    d = -math.sin(rot - sy) * math.tan(sx) / math.cos(sy) + math.cos(rot)
    if inverted:  # the determinant of rotation and shear is 1
        a, b, c, d = d / scale, -b / scale, -c / scale, a / scale
        x, y = -cx - tx, -cy - ty
        return [a, b, a * x + b * y + cx, c, d, c * x + d * y + cy]
    a, b, c, d = (value * scale for value in (a, b, c, d))
    return [a, b, a * -cx + b * -cy + (cx + tx), c, d, c * -cx + d * -cy + (cy + ty)]
