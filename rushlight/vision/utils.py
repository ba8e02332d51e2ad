"""Pictures of pictures: grids, files, boxes, masks and key points drawn on them."""

import math
import warnings
from importlib import import_module

import numpy as np

import rushlight as rl
from rushlight.autograd.grad_mode import no_grad


def _pillow(name: str = "Image"):
    """A module of Pillow, imported when it is first needed.

    Raises:
        ImportError: Pillow is not installed.
    """
    try:
        return import_module(f"PIL.{name}")
    except ImportError as error:
        raise ImportError(
            f"Pillow is needed to read, write or draw pictures, and it cannot be imported ({error}). "
            "Install it: pip install rushlight[vision]"
        ) from error


_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def _to_pil(array: np.ndarray):
    """The PIL image of a uint8 array of shape (H, W) or (H, W, 1 to 4).

    As in torchvision, a grey one shares the memory of a contiguous array until it is written to.
    """
    mode = _MODES[array.shape[2] if array.ndim == 3 else 1]
    size = (array.shape[1], array.shape[0])
    return _pillow().frombuffer(mode, size, np.ascontiguousarray(array), "raw", mode, 0, 1)


def _is_tensor(value) -> bool:
    return isinstance(value, rl.Tensor)


# ------------------------------------------------------------------------------------------------- grids


@no_grad()
def make_grid(
    tensor,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
):
    """One picture with all pictures of a batch side by side.

    Args:
        tensor: shape (B, C, H, W), (C, H, W) or (H, W), or a list of pictures of one size.
        nrow: pictures per row.
        padding: pixels between pictures.
        normalize: scale the values to 0…1.
        value_range: (lowest, highest) value for that; those of the tensor by default.
        scale_each: take them from each picture instead.
        pad_value: value between pictures.

    Returns:
        A tensor of shape (C, height, width), grey pictures with their channel repeated 3 times.

    >>> from rushlight.vision.utils import make_grid
    >>> make_grid(torch.zeros(10, 3, 4, 4)).shape
    torch.Size([3, 14, 50])
    """
    tensor = _batch(tensor)
    if normalize is True:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        tensor = tensor.clone()
        for part in tensor if scale_each is True else [tensor]:
            low, high = value_range if value_range is not None else (float(part.min()), float(part.max()))
            part.clamp_(min=low, max=high).sub_(low).div_(max(high - low, 1e-5))
    count, channels = tensor.shape[:2]
    if count == 1:
        return tensor.squeeze(0)
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = tensor.shape[2] + padding, tensor.shape[3] + padding
    grid = tensor.new_full((channels, height * rows + padding, width * columns + padding), pad_value)
    for i in range(count):
        top, left = i // columns * height + padding, i % columns * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = tensor[i]
    return grid


def _batch(tensor):
    """A batch of pictures of at least 3 channels."""
    if isinstance(tensor, list):
        for item in tensor:
            if not _is_tensor(item):
                raise TypeError(f"tensor or list of tensors expected, got a list containing {type(item)}")
        tensor = rl.stack(tensor, dim=0)
    elif not _is_tensor(tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    if tensor.ndim == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.ndim == 3:
        tensor = tensor.unsqueeze(0)
    if tensor.ndim != 4:
        raise ValueError(f"make_grid: pictures of shape (B, C, H, W) expected, got {tuple(tensor.shape)}")
    return rl.cat((tensor, tensor, tensor), 1) if tensor.shape[1] == 1 else tensor


@no_grad()
def save_image(tensor, fp, format: str | None = None, **kwargs) -> None:
    """Write a picture, or the grid of a batch, with values from 0 to 1.

    Args:
        tensor: as for `make_grid`.
        fp: file name or file object.
        format: such as "png"; by the file name if None.
        **kwargs: further arguments of `make_grid`.
    """
    grid = make_grid(tensor, **kwargs)
    pixels = grid.mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0).to(rl.uint8)
    _to_pil(pixels.numpy()).save(fp, format=format)


# ----------------------------------------------------------------------------------------------- drawing


def _check_image(image, what: str, channels: tuple[int, ...]) -> None:
    if not _is_tensor(image):
        raise TypeError(f"{what}, got {type(image)}")
    if not (image.dtype == rl.uint8 or image.is_floating_point()):
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.ndim != 3:
        raise ValueError("Pass individual images, not batches")
    if image.shape[0] not in channels:
        raise ValueError(
            "Only grayscale and RGB images are supported"
            if 1 in channels
            else "Pass an RGB image. Other Image formats are not supported"
        )


def _canvas(image):
    """The PIL image of a picture of 3 channels."""
    if image.is_floating_point():
        image = image.mul(255 + 1 - 1e-3).to(rl.uint8)
    return _to_pil(image.permute(1, 2, 0).numpy())


def _from_canvas(canvas, dtype):
    pixels = rl.from_numpy(np.array(canvas)).permute(2, 0, 1)
    return pixels.to(dtype).mul_(1 / 255) if dtype.is_floating_point else pixels


def _parse_colors(colors, *, num_objects: int, dtype=rl.uint8) -> list[tuple]:
    """One RGB triplet per object; for floats with values from 0 to 1.

    Raises:
        ValueError: too few colours, or no colours at all.
    """
    if colors is None:  # far apart from each other, and the same each time
        palette = (2**25 - 1, 2**15 - 1, 2**21 - 1)
        colors = [tuple(i * factor % 255 for factor in palette) for i in range(num_objects)]
    elif isinstance(colors, list):
        if len(colors) < num_objects:
            raise ValueError(
                "Number of colors must be equal or larger than the number of objects, but got "
                f"{len(colors)} < {num_objects}."
            )
    elif not isinstance(colors, (tuple, str)):
        raise ValueError(f"colors must be a tuple or a string, or a list thereof, but got {colors}.")
    elif isinstance(colors, tuple) and len(colors) != 3:
        raise ValueError(f"If passed as tuple, colors should be an RGB triplet, but got {colors}.")
    else:
        colors = [colors] * num_objects
    colors = [_pillow("ImageColor").getrgb(color) if isinstance(color, str) else color for color in colors]
    return [tuple(v / 255 for v in color) for color in colors] if dtype.is_floating_point else colors


@no_grad()
def draw_bounding_boxes(
    image,
    boxes,
    labels: list | None = None,
    colors=None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors=None,
    label_background_colors=None,
    fill_labels: bool = False,
):
    """Boxes drawn on a picture.

    Args:
        image: shape (3 or 1, H, W), uint8, or floating point with values from 0 to 1.
        boxes: shape (N, 4), each (xmin, ymin, xmax, ymax) in pixels, or (N, 8), the corners of rotated boxes.
        labels: a text, or None, per box.
        colors: names or RGB triplets, one for all or a list; different ones by default.
        fill: fill boxes, half transparent.
        width: of the lines, in pixels.
        font: file of a TrueType font.
        font_size: in points, where a font is given; 10 by default.
        label_colors: of the texts; those of the boxes by default, or black on filled labels.
        label_background_colors: behind the texts, with `fill_labels`.
        fill_labels: fill the rectangle behind each text.

    Returns:
        A picture of 3 channels and the type of `image`.
    """
    _check_image(image, "Tensor expected", (1, 3))
    if boxes.shape[-1] == 4 and bool((boxes[:, :2] > boxes[:, 2:]).any()):
        raise ValueError(
            "Boxes need to be in (xmin, ymin, xmax, ymax) format. Use torchvision.ops.box_convert to convert them"
        )
    count = boxes.shape[0]
    if count == 0:
        warnings.warn("boxes doesn't contain any box. No box was drawn", stacklevel=2)
        return image
    if labels is None:
        labels = [None] * count
    elif len(labels) != count:
        raise ValueError(
            f"Number of boxes ({count}) and labels ({len(labels)}) mismatch. Please specify labels for each box."
        )
    colors = _parse_colors(colors, num_objects=count)
    text_colors, backgrounds = colors, colors
    if label_colors or fill_labels:
        text_colors = _parse_colors(label_colors or "black", num_objects=count)
    if fill_labels and label_background_colors:
        backgrounds = _parse_colors(label_background_colors, num_objects=count)
    font = _font(font, font_size)
    canvas = _canvas(rl.cat([image] * 3) if image.shape[0] == 1 else image)
    draw = _pillow("ImageDraw").Draw(canvas, "RGBA" if fill else None)
    for box, color, label, text_color, background in zip(
        boxes.to(rl.int64).tolist(), colors, labels, text_colors, backgrounds, strict=False
    ):
        inside = (*color, 100) if fill else None
        if len(box) == 4:
            draw.rectangle(box, width=width, outline=color, fill=inside)
        else:
            _rotated_box(draw, box, width, color, inside)
        if label is None:
            continue
        place = (box[0] + width + 1, box[1] + width + 1)
        if fill_labels:
            left, top, right, bottom = draw.textbbox(place, label, font=font)
            draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=background)
        draw.text(place, label, fill=text_color, font=font)
    return _from_canvas(canvas, image.dtype)


def _font(font: str | None, size: int | None):
    fonts = _pillow("ImageFont")
    if font is not None:
        return fonts.truetype(font=font, size=size or 10)
    if size is not None:
        warnings.warn("Argument 'font_size' will be ignored since 'font' is not set.", stacklevel=3)
    return fonts.load_default()


def _rotated_box(draw, corners: list[int], width: int, color, inside) -> None:
    """A box of four corners; its first side, the top of the object, is dashed."""
    points = list(zip(corners[::2], corners[1::2], strict=True))
    _dashed_line(draw, points[0], points[1], width, color)
    for i in range(1, len(points)):
        draw.line((points[i], points[(i + 1) % len(points)]), width=width, fill=color)
    draw.polygon(corners, fill=inside, outline=None, width=0)


def _dashed_line(draw, start, end, width: int, color, dash: int = 5) -> None:
    length = math.dist(start, end)
    x, y = start
    drawn = True
    while length > 0:
        step = min(length, dash)
        angle = math.atan2(end[1] - y, end[0] - x)
        ahead = (x + math.cos(angle) * step, y + math.sin(angle) * step)
        if drawn:
            draw.line([(x, y), ahead], color, width)
        (x, y), length, drawn = ahead, length - step, not drawn


@no_grad()
def draw_segmentation_masks(image, masks, alpha: float = 0.8, colors=None):
    """Masks drawn on a picture, each in its colour; what several masks cover is black.

    Args:
        image: shape (3, H, W), uint8, or floating point with values from 0 to 1.
        masks: bool tensor of shape (N, H, W) or (H, W).
        alpha: 0 leaves the picture as it is, 1 hides it.
        colors: names or RGB triplets, one for all or a list; different ones by default.

    Returns:
        A picture of the shape and type of `image`.
    """
    _check_image(image, "The image must be a tensor", (3,))
    if masks.ndim == 2:
        masks = masks[None, :, :]
    if masks.ndim != 3:
        raise ValueError("masks must be of shape (H, W) or (batch_size, H, W)")
    if masks.dtype != rl.bool:
        raise ValueError(f"The masks must be of dtype bool. Got {masks.dtype}")
    if masks.shape[-2:] != image.shape[-2:]:
        raise ValueError("The image and the masks must have the same height and width")
    if len(masks) == 0:
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=2)
        return image
    drawn = image.detach().clone()
    for mask, color in zip(
        masks, _parse_colors(colors, num_objects=len(masks), dtype=image.dtype), strict=False
    ):
        drawn[:, mask] = rl.tensor(color, dtype=image.dtype)[:, None]
    drawn[:, masks.sum(dim=0) > 1] = 0
    return (image * (1 - alpha) + drawn * alpha).to(image.dtype)


@no_grad()
def draw_keypoints(
    image,
    keypoints,
    connectivity: list | None = None,
    colors=None,
    radius: int = 2,
    width: int = 3,
    visibility=None,
):
    """Key points, and lines between them, drawn on a picture.

    Args:
        image: shape (3, H, W), uint8, or floating point with values from 0 to 1.
        keypoints: shape (instances, K, 2), each (x, y) in pixels.
        connectivity: pairs of numbers of points that a line connects.
        colors: name or RGB triplet of the points; white by default.
        radius: of the points, in pixels.
        width: of the lines, in pixels.
        visibility: shape (instances, K), False for points that are not drawn, nor lines to them.

    Returns:
        A picture of the shape and type of `image`.
    """
    _check_image(image, "The image must be a tensor", (3,))
    if keypoints.ndim != 3:
        raise ValueError("keypoints must be of shape (num_instances, K, 2)")
    if visibility is None:
        visibility = rl.ones(keypoints.shape[:-1], dtype=rl.bool)
    if visibility.ndim == 3:  # as `pred.split([2, 1], dim=-1)` gives it
        visibility = visibility.squeeze(-1)
    if visibility.ndim != 2:
        raise ValueError(f"visibility must be of shape (num_instances, K). Got ndim={visibility.ndim}")
    if visibility.shape != keypoints.shape[:-1]:
        raise ValueError(
            "keypoints and visibility must have the same dimensionality for num_instances and K. "
            f"Got {visibility.shape=} and {keypoints.shape=}"
        )
    canvas = _canvas(image)
    draw = _pillow("ImageDraw").Draw(canvas)
    for points, seen in zip(keypoints.to(rl.int64).tolist(), visibility.to(rl.bool).tolist(), strict=True):
        for (x, y), visible in zip(points, seen, strict=True):
            if visible:
                place = [x - radius, y - radius, x + radius, y + radius]
                draw.ellipse(place, fill=colors, outline=None, width=0)
        for start, end in connectivity or []:
            if seen[start] and seen[end]:
                draw.line((tuple(points[start]), tuple(points[end])), width=width)
    return _from_canvas(canvas, image.dtype)


# ----------------------------------------------------------------------------------------------- optical flow


def _colour_wheel() -> np.ndarray:
    """55 colours around the circle of hues, as (55, 3) numbers from 0 to 255.

    Source: S. Baker and others, "A Database and Evaluation Methodology for Optical Flow" (2007).
    """
    # Red to yellow, to green, to cyan, to blue, to magenta, and back: one channel changes at a time.
    steps = ((15, 1, True), (6, 0, False), (4, 2, True), (11, 1, False), (13, 0, True), (6, 2, False))
    colour, wheel = [255.0, 0.0, 0.0], []
    for count, channel, rises in steps:
        for i in range(count):
            part = math.floor(255 * i / count)
            colour[channel] = part if rises else 255 - part
            wheel.append(list(colour))
        colour[channel] = 255.0 if rises else 0.0
    return np.array(wheel, np.float32)


@no_grad()
def flow_to_image(flow):
    """Pictures of optical flow: the hue tells the direction, the strength of the colour the distance.

    Args:
        flow: float32 of shape (N, 2, H, W) or (2, H, W): how far each pixel moves, to the right and down.

    Returns:
        A uint8 tensor of shape (N, 3, H, W) or (3, H, W).

    >>> from rushlight.vision.utils import flow_to_image
    >>> flow_to_image(torch.zeros(2, 1, 1)).flatten()
    tensor([255, 255, 255], dtype=torch.uint8)
    """
    if flow.dtype != rl.float32:
        raise ValueError(f"Flow should be of dtype torch.float, got {flow.dtype}.")
    batch = flow[None] if flow.ndim == 3 else flow
    if batch.ndim != 4 or batch.shape[1] != 2:
        raise ValueError(f"Input flow should have shape (2, H, W) or (N, 2, H, W), got {flow.shape}.")
    longest = batch.pow(2).sum(1).sqrt().max()
    batch = batch / (longest + rl.finfo(rl.float32).eps)
    length = batch.pow(2).sum(1).sqrt()
    wheel = rl.from_numpy(_colour_wheel())
    place = (rl.atan2(-batch[:, 1], -batch[:, 0]) / math.pi + 1) / 2 * (len(wheel) - 1)
    first = place.floor().to(rl.int64)
    part = (place - first).unsqueeze(-1)
    colour = (1 - part) * (wheel[first] / 255.0) + part * (wheel[(first + 1) % len(wheel)] / 255.0)
    pixels = (255 * (1 - length.unsqueeze(-1) * (1 - colour))).floor().to(rl.uint8).permute(0, 3, 1, 2)
    return pixels[0] if flow.ndim == 3 else pixels
