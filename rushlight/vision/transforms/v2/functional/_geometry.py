"""Functionals that move pixels, and with them boxes and points.

Images go through the functions of `transforms.functional`; what stands here is where boxes and points go, and which
arguments differ.
"""

import math

import rushlight as torch
from rushlight.vision.transforms import _functional_pil as F_pil
from rushlight.vision.transforms import _functional_tensor as F_t
from rushlight.vision.transforms import _warp
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.functional import InterpolationMode
from rushlight.vision.transforms.v2.functional._dispatch import functional
from rushlight.vision.transforms.v2.functional._meta import CORNERS, XYXY, clamped, converted
from rushlight.vision.tv_tensors import BoundingBoxFormat, is_rotated_bounding_format
from rushlight.vision.tv_tensors import parse_format as parse

NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


def mode_of(interpolation) -> InterpolationMode:
    """An interpolation given as mode, as its name or as Pillow's number of it."""
    if isinstance(interpolation, str):
        return InterpolationMode(interpolation)
    if isinstance(interpolation, int):
        return F._interpolation_modes_from_int(interpolation)
    if not isinstance(interpolation, InterpolationMode):
        raise ValueError(
            "Argument interpolation should be an `InterpolationMode` or a corresponding Pillow integer constant, but "
            f"got {interpolation}."
        )
    return interpolation


# -- boxes as points ------------------------------------------------------------------------------------


def _points_of(boxes, format):
    """The corners (N, 4, 2) of boxes, clockwise from the upper left one."""
    if is_rotated_bounding_format(format):
        return converted(boxes, format, CORNERS).reshape(-1, 4, 2)
    return converted(boxes, format, XYXY).reshape(-1, 4)[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def _rectangles(points):
    """The rectangles around parallelograms (N, 4, 2), along the longer sides."""
    p1, p2, p3, p4 = points.unbind(1)
    centre = (p1 + p3) / 2
    across, down = p2 - p1, p4 - p1
    wide, high = (side.pow(2).sum(-1).sqrt() for side in (across, down))
    angle_across, angle_down = (torch.atan2(-side[:, 1], side[:, 0]) for side in (across, down))
    between = angle_across - angle_down
    cos, sin = between.cos(), between.sin()
    cos = torch.where(between > math.pi / 2, -cos, cos)
    w = torch.where(wide < high, wide * sin, wide + high * cos)
    h = torch.where(wide > high, high * sin, high + wide * cos)
    angle = torch.where(high > wide, angle_down + math.pi / 2, angle_across)
    cos, sin = angle.cos(), angle.sin()
    right = torch.stack((w / 2 * cos, -w / 2 * sin), -1)
    below = torch.stack((h / 2 * sin, h / 2 * cos), -1)
    return torch.stack(
        (centre - right - below, centre + right - below, centre + right + below, centre - right + below), 1
    )


def _boxes_of(points, format, canvas_size, clamping_mode):
    """The boxes of this format around groups of four points, cut to the picture."""
    if is_rotated_bounding_format(format):
        boxes, between = _rectangles(points).reshape(-1, 8), CORNERS
    else:
        boxes, between = torch.cat((points.amin(1), points.amax(1)), 1), XYXY
    return converted(clamped(boxes, between, canvas_size, clamping_mode), between, format)


def _move_boxes(boxes, format, canvas_size, clamping_mode, move, new_canvas_size=None):
    """The boxes around where `move`, a function of points (M, 2), takes their corners."""
    format = parse(format)
    if boxes.numel() == 0:
        return boxes
    points = _points_of(boxes, format)
    moved = move(points.reshape(-1, 2)).reshape(-1, 4, 2)
    out = _boxes_of(moved, format, new_canvas_size or canvas_size, clamping_mode)
    return out.reshape(boxes.shape).to(boxes.dtype)


def _flip_rotated(boxes, format, axis: int, length: int):
    if format is CORNERS:
        points = boxes.reshape(-1, 4, 2).clone()
        points[..., axis] = length - points[..., axis]
        return points[:, [1, 0, 3, 2]].reshape(boxes.shape)
    out = boxes.clone()
    if format is BoundingBoxFormat.XYWHR:  # the upper right corner becomes the upper left one
        radians = boxes[..., 4] * math.pi / 180
        out[..., 0] += boxes[..., 2] * radians.cos()
        out[..., 1] -= boxes[..., 2] * radians.sin()
    out[..., axis] = length - out[..., axis]
    out[..., 4] = 180 * axis - out[..., 4]
    return out


def _shift(boxes, format, x, y):
    """Boxes moved by whole pixels."""
    numbers = 4 if format is CORNERS else 2 if format is XYXY else 1
    by = [x, y] * numbers + [0] * (boxes.shape[-1] - 2 * numbers)
    return boxes + torch.tensor(by, dtype=boxes.dtype)


# -- flips ----------------------------------------------------------------------------------------------


def horizontal_flip_image(image):
    """`horizontal_flip` of a plain tensor."""
    return image.flip(-1)


def vertical_flip_image(image):
    """`vertical_flip` of a plain tensor."""
    return image.flip(-2)


def _flip_points(points, axis: int, length: int):
    out = points.clone()
    out[..., axis] = length - 1 - out[..., axis]
    return out


def _flip_boxes(boxes, format, axis: int, length: int):
    format = parse(format)
    if is_rotated_bounding_format(format):
        return _flip_rotated(boxes, format, axis, length)
    out = boxes.clone()
    if format is XYXY:
        out[..., axis], out[..., axis + 2] = length - boxes[..., axis + 2], length - boxes[..., axis]
    elif format is BoundingBoxFormat.XYWH:
        out[..., axis] = length - (boxes[..., axis] + boxes[..., axis + 2])
    else:
        out[..., axis] = length - boxes[..., axis]
    return out


def horizontal_flip_keypoints(keypoints, canvas_size):
    """`horizontal_flip` of points given as a plain tensor."""
    return _flip_points(keypoints, 0, canvas_size[1])


def vertical_flip_keypoints(keypoints, canvas_size):
    """`vertical_flip` of points given as a plain tensor."""
    return _flip_points(keypoints, 1, canvas_size[0])


def horizontal_flip_bounding_boxes(bounding_boxes, format, canvas_size):
    """`horizontal_flip` of boxes given as a plain tensor."""
    return _flip_boxes(bounding_boxes, format, 0, canvas_size[1])


def vertical_flip_bounding_boxes(bounding_boxes, format, canvas_size):
    """`vertical_flip` of boxes given as a plain tensor."""
    return _flip_boxes(bounding_boxes, format, 1, canvas_size[0])


horizontal_flip = functional(
    """The image with left and right exchanged, and what is marked in it.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.horizontal_flip(tv_tensors.BoundingBoxes([[1, 2, 3, 4]], format="XYXY", canvas_size=(10, 10))).tolist()
    [[7, 2, 9, 4]]
    """,
    horizontal_flip_image, F_pil.hflip, True, horizontal_flip_bounding_boxes, horizontal_flip_keypoints,
)  # fmt: skip
vertical_flip = functional(
    "The image upside down, and what is marked in it.",
    vertical_flip_image, F_pil.vflip, True, vertical_flip_bounding_boxes, vertical_flip_keypoints,
)  # fmt: skip
hflip, vflip = horizontal_flip, vertical_flip


# -- sizes ----------------------------------------------------------------------------------------------


def _new_size(canvas_size, size, max_size):
    if isinstance(size, int):
        size = [size]
    elif max_size is not None and size is not None and len(size) != 1:
        raise ValueError(
            "max_size should only be passed if size is None or specifies the length of the smaller edge, i.e. size "
            "should be an int or a sequence of length 1 in torchscript mode."
        )
    return F._compute_resized_output_size(tuple(canvas_size), size, max_size, allow_size_none=True)


def resize_image(image, size, interpolation=BILINEAR, max_size=None, antialias=True):
    """`resize` of a plain tensor."""
    mode = mode_of(interpolation)
    want = _new_size(image.shape[-2:], size, max_size)
    if want == list(image.shape[-2:]):
        return image
    return F_t.resize(image, want, mode.value, antialias, (torch.float32, torch.float64, torch.uint8))


def _resize_pil(image, size, interpolation=BILINEAR, max_size=None, antialias=True):
    want = _new_size((image.height, image.width), size, max_size)
    return F.resize(image, want, mode_of(interpolation), antialias=antialias)


def resize_keypoints(keypoints, size, canvas_size, max_size=None):
    """`resize` of points given as a plain tensor; gives also the new size of the picture."""
    new = _new_size(canvas_size, size, max_size)
    ratios = torch.tensor([new[1] / canvas_size[1], new[0] / canvas_size[0]])
    return (keypoints * ratios).to(keypoints.dtype), tuple(new)


def resize_bounding_boxes(
    bounding_boxes, canvas_size, size, max_size=None, format=XYXY, clamping_mode="soft"
):
    """`resize` of boxes given as a plain tensor; gives also the new size of the picture."""
    new = _new_size(canvas_size, size, max_size)
    if tuple(new) == tuple(canvas_size):
        return bounding_boxes, canvas_size
    ratios = torch.tensor([new[1] / canvas_size[1], new[0] / canvas_size[0]])
    if is_rotated_bounding_format(format):
        move = lambda points: points * ratios
        return _move_boxes(bounding_boxes, format, canvas_size, clamping_mode, move, tuple(new)), tuple(new)
    return (bounding_boxes * torch.cat((ratios, ratios))).to(bounding_boxes.dtype), tuple(new)


resize = functional(
    """The image in another size, and what is marked in it.

    Args:
        inpt: image, video, mask, boxes or points.
        size: (height, width), or the length of the shorter side, or None with `max_size`.
        interpolation: an `InterpolationMode`, its name, or Pillow's number; masks always take the nearest pixel.
        max_size: the longer side is at most that.
        antialias: filter before shrinking (tensors); Pillow always does.
    """,
    resize_image, _resize_pil, True, resize_bounding_boxes, resize_keypoints,
)  # fmt: skip


# -- padding and crops ----------------------------------------------------------------------------------


def parse_padding(padding) -> list[int]:
    """Left, right, top and bottom of a padding given as one, two or four numbers."""
    if not isinstance(padding, (int, tuple, list)):
        raise TypeError(f"`padding` should be an integer or tuple or list of integers, but got {padding}")
    if not isinstance(padding, int) and len(padding) not in (1, 2, 4):
        raise ValueError(
            f"Padding must be an int or a 1, 2, or 4 element tuple or list. Found {len(padding)}"
        )
    left, top, right, bottom = F_pil.sides(padding)
    return [left, right, top, bottom]


def pad_image(image, padding, fill=None, padding_mode="constant"):
    """`pad` of a plain tensor; `fill` is one number, or one for each channel."""
    left, right, top, bottom = parse_padding(padding)
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(
            "`padding_mode` should be either `'constant'`, `'edge'`, `'reflect'` or `'symmetric'`, but got "
            f"`'{padding_mode}'`."
        )
    fill = 0 if fill is None else fill
    if isinstance(fill, (tuple, list)) and len(fill) == 1:
        fill = fill[0]
    flat = image if image.ndim <= 4 else image.reshape(-1, *image.shape[-3:])
    if isinstance(fill, (int, float)):
        out = F_t.pad(flat, [left, top, right, bottom], fill, padding_mode)
        return out if image.ndim <= 4 else out.reshape(*image.shape[:-2], *out.shape[-2:])
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported if fill is not scalar")
    out = F_t.pad(flat, [left, top, right, bottom])
    inside = F_t.pad(torch.ones(1, 1, *image.shape[-2:]), [left, top, right, bottom]) > 0
    colour = torch.tensor(fill).to(image.dtype).reshape(-1, 1, 1)
    return torch.where(inside, out, colour).reshape(*image.shape[:-2], *out.shape[-2:])


def _check_constant(padding_mode, what: str) -> None:
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported with {what}")


def pad_keypoints(keypoints, canvas_size, padding, padding_mode="constant"):
    """`pad` of points given as a plain tensor; gives also the new size of the picture."""
    _check_constant(padding_mode, "KeyPoints (supported modes are constant)")
    left, right, top, bottom = parse_padding(padding)
    by = torch.tensor([left, top], dtype=keypoints.dtype)
    return keypoints + by, (canvas_size[0] + top + bottom, canvas_size[1] + left + right)


def pad_bounding_boxes(
    bounding_boxes, format, canvas_size, padding, padding_mode="constant", clamping_mode="soft"
):
    """`pad` of boxes given as a plain tensor; gives also the new size of the picture."""
    _check_constant(padding_mode, "bounding boxes")
    format = parse(format)
    left, right, top, bottom = parse_padding(padding)
    canvas_size = (canvas_size[0] + top + bottom, canvas_size[1] + left + right)
    out = _shift(bounding_boxes, format, left, top)
    return clamped(out, format, canvas_size, clamping_mode), canvas_size


def _pad_mask(image, padding, fill=None, padding_mode="constant"):
    if isinstance(fill, (tuple, list)):
        raise ValueError("Non-scalar fill value is not supported")
    return pad_image(image, padding, fill, padding_mode)


pad = functional(
    """The image with a border, and what is marked in it.

    Args:
        inpt: image, video, mask, boxes or points.
        padding: one width; or left-right and top-bottom; or left, top, right and bottom.
        fill: the border's colour, one number or one for each channel; None is 0.
        padding_mode: "constant", "edge", "reflect" or "symmetric"; boxes and points take only the first.
    """,
    pad_image, F_pil.pad, _pad_mask, pad_bounding_boxes, pad_keypoints,
)  # fmt: skip


def crop_image(image, top, left, height, width):
    """`crop` of a plain tensor."""
    return F_t.crop(image, top, left, height, width)


def crop_keypoints(keypoints, top, left, height, width):
    """`crop` of points given as a plain tensor; gives also the new size of the picture."""
    return keypoints - torch.tensor([left, top], dtype=keypoints.dtype), (height, width)


def crop_bounding_boxes(bounding_boxes, format, top, left, height, width, clamping_mode="soft"):
    """`crop` of boxes given as a plain tensor; gives also the new size of the picture."""
    format = parse(format)
    out = _shift(bounding_boxes, format, -left, -top)
    if format is CORNERS:
        out = _rectangles(out.reshape(-1, 4, 2)).reshape(out.shape)
    return clamped(out, format, (height, width), clamping_mode), (height, width)


crop = functional(
    "The height x width part of the image from (top, left), and what is marked in it; outside of the image is 0.",
    crop_image, F_pil.crop, True, crop_bounding_boxes, crop_keypoints,
)  # fmt: skip


def center_crop_image(image, output_size):
    """`center_crop` of a plain tensor."""
    return F.center_crop(image, output_size)


def _middle(canvas_size, output_size):
    """Top, left, height and width of the middle of a picture."""
    height, width = F._pair(output_size)
    return round((canvas_size[0] - height) / 2.0), round((canvas_size[1] - width) / 2.0), height, width


def center_crop_keypoints(inpt, canvas_size, output_size):
    """`center_crop` of points given as a plain tensor; gives also the new size of the picture."""
    return crop_keypoints(inpt, *_middle(canvas_size, output_size))


def center_crop_bounding_boxes(bounding_boxes, format, canvas_size, output_size, clamping_mode="soft"):
    """`center_crop` of boxes given as a plain tensor; gives also the new size of the picture."""
    place = _middle(canvas_size, output_size)
    return crop_bounding_boxes(bounding_boxes, format, *place, clamping_mode=clamping_mode)


center_crop = functional(
    "The middle of the image, and what is marked in it; padded with 0 where the image is smaller.",
    center_crop_image, F.center_crop, True, center_crop_bounding_boxes, center_crop_keypoints,
)  # fmt: skip


def resized_crop_image(image, top, left, height, width, size, interpolation=BILINEAR, antialias=True):
    """`resized_crop` of a plain tensor."""
    return resize_image(crop_image(image, top, left, height, width), size, interpolation, None, antialias)


def _resized_crop_pil(image, top, left, height, width, size, interpolation=BILINEAR, antialias=True):
    return _resize_pil(F_pil.crop(image, top, left, height, width), size, interpolation, None, antialias)


def resized_crop_keypoints(keypoints, top, left, height, width, size):
    """`resized_crop` of points given as a plain tensor; gives also the new size of the picture."""
    points, canvas_size = crop_keypoints(keypoints, top, left, height, width)
    return resize_keypoints(points, size, canvas_size)


def resized_crop_bounding_boxes(bounding_boxes, format, top, left, height, width, size, clamping_mode="soft"):
    """`resized_crop` of boxes given as a plain tensor; gives also the new size of the picture."""
    boxes, canvas = crop_bounding_boxes(bounding_boxes, format, top, left, height, width, clamping_mode)
    return resize_bounding_boxes(boxes, canvas, size, None, format, clamping_mode)


resized_crop = functional(
    "`crop`, then `resize`.",
    resized_crop_image, _resized_crop_pil, True, resized_crop_bounding_boxes, resized_crop_keypoints,
)  # fmt: skip


def five_crop_image(image, size):
    """`five_crop` of a plain tensor."""
    return F.five_crop(image, size)


def ten_crop_image(image, size, vertical_flip=False):
    """`ten_crop` of a plain tensor."""
    return F.ten_crop(image, size, vertical_flip)


five_crop = functional("The four corners and the middle of the image.", five_crop_image, F.five_crop)
ten_crop = functional(
    "`five_crop` of the image and of the image flipped from left to right, or upside down.",
    ten_crop_image,
    F.ten_crop,
)


# -- affine maps ----------------------------------------------------------------------------------------


def affine_image(image, angle, translate, scale, shear, interpolation=NEAREST, fill=None, center=None):
    """`affine` of a plain tensor."""
    return F.affine(image, angle, translate, scale, shear, mode_of(interpolation), fill, center)


def _map_points(matrix, points):
    """Points (M, 2) under the affine map of six numbers."""
    return points @ torch.tensor(matrix, dtype=points.dtype).reshape(2, 3)[:, :2].T + torch.tensor(
        [matrix[2], matrix[5]], dtype=points.dtype
    )


def _forward(canvas_size, angle, translate, scale, shear, center, expand=False):
    """The map of points that belongs to an affine map of pixels, and the new size of the picture."""
    height, width = canvas_size
    center = [width * 0.5, height * 0.5] if center is None else [float(c) for c in center]
    matrix = _warp.inverse_affine_matrix(center, angle, translate, scale, shear, inverted=False)
    if not expand:
        return lambda points: _map_points(matrix, points), tuple(canvas_size)
    corners = torch.tensor([[0.0, 0.0], [0.0, height], [width, height], [width, 0.0]])
    least = _map_points(matrix, corners).amin(0)
    inverse = _warp.inverse_affine_matrix(center, angle, translate, scale, shear)
    wide, high = _warp._rotated_size(inverse, width, height)
    return lambda points: _map_points(matrix, points) - least, (high, wide)


def _move_keypoints(keypoints, move):
    if keypoints.numel() == 0:
        return keypoints
    points = keypoints if keypoints.is_floating_point() else keypoints.float()
    return move(points.reshape(-1, 2)).reshape(keypoints.shape).to(keypoints.dtype)


def _moved_in_float(boxes, format, canvas_size, clamping_mode, move, new_canvas_size=None):
    floats = boxes if boxes.is_floating_point() else boxes.float()
    return _move_boxes(floats, format, canvas_size, clamping_mode, move, new_canvas_size).to(boxes.dtype)


def affine_keypoints(keypoints, canvas_size, angle, translate, scale, shear, center=None):
    """`affine` of points given as a plain tensor; gives also the size of the picture."""
    shear = F.check_affine(angle, translate, scale, shear, center)
    move, canvas_size = _forward(canvas_size, angle, translate, scale, shear, center)
    return _move_keypoints(keypoints, move), canvas_size


def affine_bounding_boxes(
    bounding_boxes, format, canvas_size, angle, translate, scale, shear, center=None, clamping_mode="soft"
):
    """`affine` of boxes given as a plain tensor."""
    shear = F.check_affine(angle, translate, scale, shear, center)
    move, _ = _forward(canvas_size, angle, translate, scale, shear, center)
    return _moved_in_float(bounding_boxes, format, canvas_size, clamping_mode, move)


affine = functional(
    """The image turned, moved, scaled and sheared, and what is marked in it.

    Args:
        inpt: image, video, mask, boxes or points.
        angle: in degrees, clockwise.
        translate: pixels to the right and down.
        scale: the factor.
        shear: degrees along x, or along x and y.
        interpolation: nearest or bilinear; for Pillow images also bicubic.
        fill: the colour outside of the image.
        center: (x, y) of the fixed point; by default the middle.
    """,
    affine_image, affine_image, True, affine_bounding_boxes, affine_keypoints,
)  # fmt: skip


def rotate_image(image, angle, interpolation=NEAREST, expand=False, center=None, fill=None):
    """`rotate` of a plain tensor; quarter turns move pixels without sampling."""
    angle = angle % 360
    if center is None:
        square = expand or image.shape[-1] == image.shape[-2]
        if angle == 0:
            return image.clone()
        if angle == 180 or (square and angle in (90, 270)):
            return torch.rot90(image, k=int(angle // 90), dims=(-2, -1))
    return F.rotate(image, angle, mode_of(interpolation), expand, center, fill)


def _rotate_pil(image, angle, interpolation=NEAREST, expand=False, center=None, fill=None):
    return F.rotate(image, angle, mode_of(interpolation), expand, center, fill)


def rotate_keypoints(keypoints, canvas_size, angle, expand=False, center=None):
    """`rotate` of points given as a plain tensor; gives also the new size of the picture."""
    move, canvas_size = _forward(canvas_size, -angle, [0.0, 0.0], 1.0, [0.0, 0.0], center, expand)
    return _move_keypoints(keypoints, move), canvas_size


def rotate_bounding_boxes(
    bounding_boxes, format, canvas_size, angle, expand=False, center=None, clamping_mode="soft"
):
    """`rotate` of boxes given as a plain tensor; gives also the new size of the picture."""
    move, new = _forward(canvas_size, -angle, [0.0, 0.0], 1.0, [0.0, 0.0], center, expand)
    return _moved_in_float(bounding_boxes, format, canvas_size, clamping_mode, move, new), new


rotate = functional(
    """The image turned, and what is marked in it.

    Args:
        inpt: image, video, mask, boxes or points.
        angle: in degrees, counter-clockwise.
        interpolation: nearest or bilinear; for Pillow images also bicubic.
        expand: make the image so large that it holds the whole turned one; `center` is then ignored.
        center: (x, y) of the fixed point; by default the middle.
        fill: the colour outside of the image.
    """,
    rotate_image, _rotate_pil, True, rotate_bounding_boxes, rotate_keypoints,
)  # fmt: skip


# -- perspective and elastic ----------------------------------------------------------------------------


def _coefficients(startpoints, endpoints, coefficients):
    if coefficients is None:
        if startpoints is None or endpoints is None:
            raise ValueError(
                "Either the startpoints/endpoints or the coefficients must have non `None` values."
            )
        return _warp.perspective_coefficients(startpoints, endpoints)
    if startpoints is not None and endpoints is not None:
        raise ValueError("The startpoints/endpoints and the coefficients shouldn't be defined concurrently.")
    if len(coefficients) != 8:
        raise ValueError("Argument coefficients should have 8 float values")
    return coefficients


def perspective_image(image, startpoints, endpoints, interpolation=BILINEAR, fill=None, coefficients=None):
    """`perspective` of a plain tensor."""
    coefficients = _coefficients(startpoints, endpoints, coefficients)
    return _warp.perspective(image, coefficients, mode_of(interpolation).value, fill)


def _perspective_pil(image, startpoints, endpoints, interpolation=BILINEAR, fill=None, coefficients=None):
    coefficients = _coefficients(startpoints, endpoints, coefficients)
    return F_pil.perspective(image, coefficients, F.pil_modes_mapping[mode_of(interpolation)], fill)


def _inverse_perspective(coefficients, what: str):
    """The map of points that belongs to a perspective of pixels."""
    a, b, c, d, e, f, g, h = coefficients
    denom = a * e - b * d
    if denom == 0:
        raise RuntimeError(
            f"Provided perspective_coeffs {coefficients} can not be inverted to transform {what}. Denominator is zero, "
            f"denom={denom}"
        )

    def move(points):
        points = points if points.is_floating_point() else points.float()
        x, y = points[:, 0], points[:, 1]
        below = (d * h - e * g) / denom * x + (b * g - a * h) / denom * y + 1.0
        right = (e - f * h) / denom * x + (c * h - b) / denom * y + (b * f - c * e) / denom
        down = (f * g - d) / denom * x + (a - c * g) / denom * y + (c * d - a * f) / denom
        return torch.stack((right / below, down / below), -1)

    return move


def perspective_keypoints(keypoints, canvas_size, startpoints, endpoints, coefficients=None):
    """`perspective` of points given as a plain tensor."""
    coefficients = _coefficients(startpoints, endpoints, coefficients)
    return _move_keypoints(keypoints, _inverse_perspective(coefficients, "keypoints"))


def perspective_bounding_boxes(
    bounding_boxes, format, canvas_size, startpoints, endpoints, coefficients=None, clamping_mode="soft"
):
    """`perspective` of boxes given as a plain tensor."""
    coefficients = _coefficients(startpoints, endpoints, coefficients)
    move = _inverse_perspective(coefficients, "bounding boxes")
    return _move_boxes(bounding_boxes, format, canvas_size, clamping_mode, move)


perspective = functional(
    """The image seen in the perspective that moves four points, and what is marked in it.

    Args:
        inpt: image, video, mask, boxes or points.
        startpoints, endpoints: four (x, y) each: top left, top right, bottom right and bottom left corner.
        interpolation: nearest or bilinear; for Pillow images also bicubic.
        fill: the colour outside of the image.
        coefficients: the eight numbers of the perspective, in place of the points.
    """,
    perspective_image, _perspective_pil, True, perspective_bounding_boxes, perspective_keypoints,
)  # fmt: skip


def elastic_image(image, displacement, interpolation=BILINEAR, fill=None):
    """`elastic` of a plain tensor."""
    return F.elastic_transform(image, displacement, mode_of(interpolation), fill)


def _displaced(displacement, canvas_size, dtype, whole):
    """The map of points that (nearly) belongs to a displacement of pixels."""
    height, width = canvas_size
    if not isinstance(displacement, torch.Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    if displacement.shape != (1, height, width, 2):
        raise ValueError(
            f"Argument displacement shape should be {(1, height, width, 2)}, but given {displacement.shape}"
        )
    dtype = dtype if dtype.is_floating_point else torch.float32

    def move(points):
        x, y = whole(points).to(torch.int64).unbind(-1)
        x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
        size = torch.tensor([width, height], dtype=dtype)
        here = (2 * torch.stack((x, y), -1).to(dtype) + 1 - size) / size  # from -1 to 1
        return (here - displacement[0, y, x].to(dtype) + 1) * (0.5 * size) - 0.5

    return move


def elastic_keypoints(keypoints, canvas_size, displacement):
    """`elastic` of points given as a plain tensor."""
    move = _displaced(displacement, canvas_size, keypoints.dtype, lambda points: points)
    return _move_keypoints(keypoints, move)


def elastic_bounding_boxes(bounding_boxes, format, canvas_size, displacement, clamping_mode="soft"):
    """`elastic` of boxes given as a plain tensor; rotated boxes are moved with their centre."""
    format = parse(format)
    move = _displaced(
        displacement,
        canvas_size,
        bounding_boxes.dtype,
        lambda points: points.ceil() if points.is_floating_point() else points,
    )
    if bounding_boxes.numel() == 0:
        return bounding_boxes
    if not is_rotated_bounding_format(format):
        points = _points_of(bounding_boxes, format).reshape(-1, 2)
        moved = move(points).reshape(-1, 4, 2)
        out = torch.cat((moved.amin(1), moved.amax(1)), 1).to(bounding_boxes.dtype)
        out = clamped(out, XYXY, canvas_size, clamping_mode)
        return converted(out, XYXY, format).reshape(bounding_boxes.shape)
    boxes = converted(bounding_boxes, format, BoundingBoxFormat.CXCYWHR).reshape(-1, 5)
    out = torch.cat((move(boxes[:, :2]), boxes[:, 2:]), 1)
    out = clamped(out, BoundingBoxFormat.CXCYWHR, canvas_size, clamping_mode)
    return converted(out, BoundingBoxFormat.CXCYWHR, format).reshape(bounding_boxes.shape)


elastic = functional(
    """The image with each pixel taken from a place nearby, and what is marked in it.

    Args:
        inpt: image, video, mask, boxes or points.
        displacement: (1, H, W, 2), x and y as parts of half the width and height.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image.
    """,
    elastic_image, elastic_image, True, elastic_bounding_boxes, elastic_keypoints,
)  # fmt: skip
elastic_transform = elastic
