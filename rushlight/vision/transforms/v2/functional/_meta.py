"""Sizes of pictures; formats of boxes; which boxes and points lie in their picture."""

import math

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import _functional_pil as F_pil
from rushlight.vision.transforms.v2.functional._dispatch import (
    FUNCTIONALS,
    is_pure_tensor,
    kernel_of,
    renamed,
)
from rushlight.vision.transforms.v2.functional._rotated import clamp_corners
from rushlight.vision.tv_tensors import (
    BoundingBoxes,
    BoundingBoxFormat,
    KeyPoints,
    is_rotated_bounding_format,
)
from rushlight.vision.tv_tensors import parse_format as parse

XYXY, CORNERS = BoundingBoxFormat.XYXY, BoundingBoxFormat.XYXYXYXY


# -- sizes ----------------------------------------------------------------------------------------------


def get_dimensions_image(image) -> list[int]:
    """`get_dimensions` of a plain tensor."""
    if image.ndim < 2:
        raise TypeError(f"Input tensor should have at least two dimensions, but got {image.ndim}")
    return [1 if image.ndim == 2 else image.shape[-3], *image.shape[-2:]]


def get_num_channels_image(image) -> int:
    """`get_num_channels` of a plain tensor."""
    return get_dimensions_image(image)[0]


def get_size_image(image) -> list[int]:
    """`get_size` of a plain tensor: an image, a video or a mask."""
    return get_dimensions_image(image)[1:]


def get_size_bounding_boxes(bounding_box) -> list[int]:
    """`get_size` of the picture that boxes or points are in."""
    return list(bounding_box.canvas_size)


get_size_keypoints = renamed(get_size_bounding_boxes, "get_size_keypoints")


def get_num_frames_video(video) -> int:
    """`get_num_frames` of a plain tensor."""
    return video.shape[-4]


_PIXELS = (Tensor, tv_tensors.Image, tv_tensors.Video)


def _query(name: str, doc: str, table: dict):
    """A function that only looks at its input."""

    def call(inpt):
        kernel = kernel_of(call, type(inpt))
        if kernel is None:
            kinds = ", ".join(cls.__name__ for cls in call.table)
            raise TypeError(
                f"Functional F.{name} supports inputs of type {kinds}, but got {type(inpt)} instead."
            )
        return kernel(inpt)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    call.__module__ = "rushlight.vision.transforms.v2.functional"
    call.table, call.kernels = table, {}
    FUNCTIONALS[name] = call
    return call


def _with_pil(table: dict, kernel) -> dict:
    return table if F_pil.Image is None else {**table, F_pil.Image.Image: kernel}


get_dimensions = _query(
    "get_dimensions",
    "The number of channels, the height and the width of an image or a video.",
    _with_pil(dict.fromkeys(_PIXELS, get_dimensions_image), F_pil.get_dimensions),
)
get_num_channels = _query(
    "get_num_channels",
    "The number of channels of an image or a video.",
    _with_pil(dict.fromkeys(_PIXELS, get_num_channels_image), F_pil.get_image_num_channels),
)
get_size = _query(
    "get_size",
    "The height and the width of an image, a video or a mask, or of the picture that boxes or points are in.",
    _with_pil(
        dict.fromkeys((*_PIXELS, tv_tensors.Mask), get_size_image)
        | {BoundingBoxes: get_size_bounding_boxes, KeyPoints: get_size_keypoints},
        lambda image: F_pil.get_dimensions(image)[1:],
    ),
)
get_num_frames = _query(
    "get_num_frames",
    "The number of frames of a video.",
    dict.fromkeys((Tensor, tv_tensors.Video), get_num_frames_video),
)
get_image_num_channels = get_num_channels
get_dimensions_video = renamed(get_dimensions_image, "get_dimensions_video")
get_num_channels_video = renamed(get_num_channels_image, "get_num_channels_video")
get_size_video, get_size_mask = (renamed(get_size_image, f"get_size_{kind}") for kind in ("video", "mask"))


# -- formats of boxes -----------------------------------------------------------------------------------


def _half(size):
    """Half of widths or heights; that of integers is rounded down."""
    return size / 2 if size.is_floating_point() else torch.div(size, 2, rounding_mode="floor")


def _to_xyxy(boxes, format):
    if format is XYXY:
        return boxes
    if format is BoundingBoxFormat.XYWH:
        return torch.cat((boxes[..., :2], boxes[..., :2] + boxes[..., 2:]), -1)
    numbers = boxes if boxes.is_floating_point() else boxes.float()
    low = numbers[..., :2] - numbers[..., 2:] / 2
    return torch.cat((low, low + numbers[..., 2:]), -1).to(boxes.dtype)


def _from_xyxy(boxes, format):
    if format is XYXY:
        return boxes
    low, high = boxes[..., :2], boxes[..., 2:]
    first = low if format is BoundingBoxFormat.XYWH else _half(low + high)
    return torch.cat((first, high - low), -1)


def _unit(degrees):
    """Cosines and sines, of angles counted against the clock while y points down."""
    radians = degrees * math.pi / 180.0
    return radians.cos(), radians.sin()


def _to_corners(boxes, format):
    """Rotated boxes as (..., 8): upper left, upper right, lower right and lower left corner."""
    if format is CORNERS:
        return boxes
    x, y, w, h = boxes[..., :4].unbind(-1)
    cos, sin = _unit(boxes[..., 4])
    if format is BoundingBoxFormat.CXCYWHR:
        x = x - w / 2 * cos - h / 2 * sin
        y = y + w / 2 * sin - h / 2 * cos
    across, down = (w * cos, -w * sin), (h * sin, h * cos)
    return torch.stack(
        (
            x, y, x + across[0], y + across[1],
            x + across[0] + down[0], y + across[1] + down[1], x + down[0], y + down[1],
        ),
        -1,
    )  # fmt: skip


def _from_corners(boxes, format):
    if format is CORNERS:
        return boxes
    numbers = boxes if boxes.dtype in (torch.float32, torch.float64) else boxes.float()
    x1, y1, x2, y2, x3, y3 = numbers[..., :6].unbind(-1)
    angle = torch.atan2(y1 - y2, x2 - x1) / math.pi * 180.0
    w = ((x2 - x1).pow(2) + (y2 - y1).pow(2)).sqrt()
    h = ((x3 - x2).pow(2) + (y3 - y2).pow(2)).sqrt()
    if format is BoundingBoxFormat.CXCYWHR:
        cos, sin = _unit(angle)
        x1, y1 = x1 + w / 2 * cos + h / 2 * sin, y1 - w / 2 * sin + h / 2 * cos
    return torch.stack((x1, y1, w, h, angle), -1).to(boxes.dtype)


def converted(boxes, old_format, new_format):
    """Boxes, a plain tensor, in another format."""
    if old_format is new_format:
        return boxes
    rotated = is_rotated_bounding_format(old_format)
    if rotated != is_rotated_bounding_format(new_format):
        raise ValueError("Cannot convert between rotated and unrotated bounding boxes.")
    if rotated:
        return _from_corners(_to_corners(boxes, old_format), new_format)
    return _from_xyxy(_to_xyxy(boxes, old_format), new_format)


def convert_bounding_box_format(inpt, old_format=None, new_format=None, inplace=False):
    """Boxes in another format.

    Args:
        inpt: `BoundingBoxes`, or a plain tensor (..., K).
        old_format: the format of a plain tensor; for boxes leave it out.
        new_format: the format to convert to, or its name.
        inplace: overwrite the boxes, where the new format has as many numbers.

    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.convert_bounding_box_format(torch.tensor([[1, 2, 3, 4]]), "XYWH", "XYXY")
    tensor([[1, 2, 4, 6]])
    """
    if new_format is None:
        raise TypeError("convert_bounding_box_format() missing 1 required argument: 'new_format'")
    old_format, new_format = parse(old_format), parse(new_format)
    if not isinstance(inpt, BoundingBoxes):
        if not is_pure_tensor(inpt):
            raise TypeError(
                f"Input can either be a plain tensor or a bounding box tv_tensor, but got {type(inpt)} instead."
            )
        if old_format is None:
            raise ValueError("For pure tensor inputs, `old_format` has to be passed.")
        out = converted(inpt, old_format, new_format)
        return inpt.copy_(out) if inplace and out.shape == inpt.shape else out
    if old_format is not None:
        raise ValueError("For bounding box tv_tensor inputs, `old_format` must not be passed.")
    plain = inpt.as_subclass(Tensor)
    out = convert_bounding_box_format(plain, inpt.format, new_format, inplace)
    return tv_tensors.wrap(out, like=inpt, format=new_format)


# -- what lies in the picture ---------------------------------------------------------------------------


def clamped(boxes, format, canvas_size, clamping_mode):
    """Boxes, a plain tensor, cut to the picture."""
    if clamping_mode is None:
        return boxes.clone()
    if is_rotated_bounding_format(format):
        if boxes.numel() == 0:
            return boxes.clone()
        corners = clamp_corners(_to_corners(boxes, format).reshape(-1, 8), canvas_size, clamping_mode)
        return _from_corners(corners, format).reshape(boxes.shape)
    numbers = _to_xyxy(boxes if boxes.is_floating_point() else boxes.float(), format)
    height, width = canvas_size
    x, y = numbers[..., 0::2].clamp(0, width), numbers[..., 1::2].clamp(0, height)
    numbers = torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), -1)
    return _from_xyxy(numbers, format).to(boxes.dtype)


def clamp_bounding_boxes(inpt, format=None, canvas_size=None, clamping_mode="auto"):
    """Boxes cut to their picture.

    Args:
        inpt: `BoundingBoxes`, or a plain tensor.
        format, canvas_size: of a plain tensor; for boxes leave them out.
        clamping_mode: "soft" cuts to the smallest box around what is in the picture, "hard" to the largest inside of that
            (the same for boxes that aren't rotated), None not at all; "auto" is the boxes' own.

    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.clamp_bounding_boxes(torch.tensor([[-1, 2, 30, 4]]), "XYXY", (10, 20), "soft")
    tensor([[ 0,  2, 20,  4]])
    """
    if clamping_mode not in (None, "soft", "hard", "auto"):
        raise ValueError(f"clamping_mode must be soft, hard, auto or None, got {clamping_mode}")
    if isinstance(inpt, BoundingBoxes):
        if format is not None or canvas_size is not None:
            raise ValueError(
                "For bounding box tv_tensor inputs, `format` and `canvas_size` must not be passed."
            )
        mode = inpt.clamping_mode if clamping_mode == "auto" else clamping_mode
        return tv_tensors.wrap(
            clamped(inpt.as_subclass(Tensor), inpt.format, inpt.canvas_size, mode), like=inpt
        )
    if not is_pure_tensor(inpt):
        raise TypeError(
            f"Input can either be a plain tensor or a bounding box tv_tensor, but got {type(inpt)} instead."
        )
    if format is None or canvas_size is None or clamping_mode == "auto":
        raise ValueError(
            "For pure tensor inputs, `format`, `canvas_size` and `clamping_mode` have to be passed."
        )
    return clamped(inpt, parse(format), canvas_size, clamping_mode)


def _clamped_points(points, canvas_size):
    height, width = canvas_size
    x, y = points[..., 0].clamp(0, width - 1), points[..., 1].clamp(0, height - 1)
    return torch.stack((x, y), -1)


def clamp_keypoints(inpt, canvas_size=None):
    """Points moved into their picture.

    Args:
        inpt: `KeyPoints`, or a plain tensor (..., 2).
        canvas_size: (height, width) for a plain tensor; for points leave it out.
    """
    if isinstance(inpt, KeyPoints):
        if canvas_size is not None:
            raise ValueError("For keypoints tv_tensor inputs, `canvas_size` must not be passed.")
        return tv_tensors.wrap(_clamped_points(inpt.as_subclass(Tensor), inpt.canvas_size), like=inpt)
    if not is_pure_tensor(inpt):
        raise TypeError(
            f"Input can either be a plain tensor or a keypoints tv_tensor, but got {type(inpt)} instead."
        )
    if canvas_size is None:
        raise ValueError("For pure tensor inputs, `canvas_size` has to be passed.")
    return _clamped_points(inpt, canvas_size)


def valid_boxes(boxes, format, canvas_size, min_size=1.0, min_area=1.0):
    """Which boxes (a plain tensor) are large enough and lie in their picture."""
    rotated = is_rotated_bounding_format(format)
    numbers = converted(boxes, format, CORNERS if rotated else XYXY)
    if rotated:
        w = ((numbers[:, 0] - numbers[:, 2]).pow(2) + (numbers[:, 1] - numbers[:, 3]).pow(2)).sqrt()
        h = ((numbers[:, 3] - numbers[:, 5]).pow(2) + (numbers[:, 4] - numbers[:, 6]).pow(2)).sqrt()
    else:
        w, h = numbers[:, 2] - numbers[:, 0], numbers[:, 3] - numbers[:, 1]
    height, width = canvas_size
    inside = (
        (numbers >= 0).all(-1) & (numbers[:, 0::2] <= width).all(-1) & (numbers[:, 1::2] <= height).all(-1)
    )
    return inside & (w >= min_size) & (h >= min_size) & (w * h >= min_area)


def valid_points(points, canvas_size):
    """Which points (a plain tensor), or groups of them, lie in their picture."""
    height, width = canvas_size
    x, y = points[..., 0], points[..., 1]
    valid = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return valid.flatten(start_dim=1).all(dim=1) if valid.ndim > 1 else valid


def sanitize_bounding_boxes(bounding_boxes, format=None, canvas_size=None, min_size=1.0, min_area=1.0):
    """The boxes that are large enough and lie in their picture, and the mask of which they are.

    Args:
        bounding_boxes: `BoundingBoxes`, or a plain tensor (N, K).
        format, canvas_size: of a plain tensor; for boxes leave them out.
        min_size: the least width and height.
        min_area: the least area.

    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.sanitize_bounding_boxes(torch.tensor([[1, 1, 4, 4], [2, 2, 2, 9]]), "XYXY", (10, 10))[0]
    tensor([[1, 1, 4, 4]])
    """
    if isinstance(bounding_boxes, BoundingBoxes):
        if format is not None or canvas_size is not None:
            raise ValueError(
                "format and canvas_size must be None when bounding_boxes is a tv_tensors.BoundingBoxes instance. Got "
                f"format={format} and canvas_size={canvas_size}. Leave those to None or pass bounding_boxes as a pure "
                "tensor."
            )
        plain = bounding_boxes.as_subclass(Tensor)
        valid = valid_boxes(plain, bounding_boxes.format, bounding_boxes.canvas_size, min_size, min_area)
        return tv_tensors.wrap(plain[valid], like=bounding_boxes), valid
    if not is_pure_tensor(bounding_boxes):
        raise ValueError("bounding_boxes must be a tv_tensors.BoundingBoxes instance or a pure tensor.")
    if format is None or canvas_size is None:
        raise ValueError(
            "format and canvas_size cannot be None if bounding_boxes is a pure tensor. Got "
            f"format={format} and canvas_size={canvas_size}.Set those to appropriate values or pass bounding_boxes as a "
            "tv_tensors.BoundingBoxes object."
        )
    valid = valid_boxes(bounding_boxes, parse(format), canvas_size, min_size, min_area)
    return bounding_boxes[valid], valid


def sanitize_keypoints(key_points, canvas_size=None):
    """The points, or groups of them, that lie in their picture, and the mask of which they are.

    Args:
        key_points: `KeyPoints`, or a plain tensor (..., 2).
        canvas_size: (height, width) for a plain tensor; for points leave it out.
    """
    if isinstance(key_points, KeyPoints):
        if canvas_size is not None:
            raise ValueError(
                "canvas_size must be None when key_points is a tv_tensors.KeyPoints instance. Got "
                f"canvas_size={canvas_size}. Leave it to None or pass key_points as a pure tensor."
            )
        plain = key_points.as_subclass(Tensor)
        valid = valid_points(plain, key_points.canvas_size)
        return tv_tensors.wrap(plain[valid], like=key_points), valid
    if not is_pure_tensor(key_points):
        raise ValueError("key_points must be a tv_tensors.KeyPoints instance or a pure tensor.")
    if canvas_size is None:
        raise ValueError(
            "canvas_size cannot be None if key_points is a pure tensor. Set it to an appropriate value or pass "
            "key_points as a tv_tensors.KeyPoints object."
        )
    valid = valid_points(key_points, canvas_size)
    return key_points[valid], valid
