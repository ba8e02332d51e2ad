"""Rotated boxes cut to their picture, with their angle kept."""

import rushlight as torch


def clamp_corners(boxes, canvas_size, clamping_mode: str):
    """Rotated boxes, given by their corners, cut to the picture.

    Args:
        boxes: (N, 8), x and y of the corners in turn.
        canvas_size: height and width of the picture.
        clamping_mode: "soft" gives the smallest box around the part in the picture, "hard" the largest inside of it.
    """
    whole = boxes
    height, width = canvas_size
    for _ in range(4):  # each side of the picture is the left one once
        places = _from_leftmost(boxes)
        boxes, whole = boxes.gather(1, places), whole.gather(1, places)
        boxes = _cut_left(boxes, whole, height, width, clamping_mode)
        # turned on by the same number of corners again, as torchvision has it
        boxes, whole = (_quarter_turn(each.gather(1, places), width) for each in (boxes, whole))
        height, width = width, height
    return boxes


def _from_leftmost(boxes):
    """The columns of the boxes from the leftmost corner on, of several the highest."""
    x, y = boxes[:, 0::2], boxes[:, 1::2]
    x = x / x.abs().amax(1, keepdim=True)
    y = y / y.abs().amax(1, keepdim=True)
    first = (y + x * 100).min(dim=1)[1]
    return (2 * first[:, None] + torch.arange(8)) % 8


def _quarter_turn(boxes, width):
    """The boxes in the picture turned counter-clockwise."""
    return torch.stack((boxes[:, 1::2], width - boxes[:, 0::2]), -1).flatten(1)


def _lines(boxes):
    """Slopes and heights at x = 0 of the four sides, (N, 4) each."""
    x, y = boxes[:, 0::2], boxes[:, 1::2]
    slope = y.diff(append=y[:, :1]) / x.diff(append=x[:, :1])
    return slope, y - slope * x


def _cut_left(boxes, whole, height, width, clamping_mode: str):
    """The boxes without what is left of the picture; corners are counted from the leftmost one."""
    slope, _ = _lines(boxes)
    start = _heights(boxes, whole, height, width, clamping_mode)
    x = -start.diff(prepend=start[:, 3:]) / slope.diff(prepend=slope[:, 3:])
    cut = torch.stack((x, slope * x + start), -1).flatten(1)
    upright = boxes.clone()
    upright[:, 0::6] = upright[:, 0::6].clamp(0)
    x1, y1, x2, y2, _, y3, _, y4 = boxes.unbind(-1)
    level = y1.isclose(y2) | y3.isclose(y4)
    outside = (boxes[:, 0::2] <= 0).all(-1)
    flat = outside | y1.isclose(y4) | y2.isclose(y3) | (level & x1.isclose(x2))
    for which, case in (
        ((x1 < 0) & ~cut.isnan().any(-1), cut),
        (level, upright),
        (flat, torch.zeros_like(boxes)),
    ):
        boxes = torch.where(which[:, None], case, boxes)
    return boxes


def _heights(boxes, whole, height, width, clamping_mode: str):
    """Where the four sides meet x = 0 after they were moved into the picture, (N, 4)."""
    a1, a2, a3, a4 = _lines(boxes)[0].unbind(-1)
    b1, b2, b3, b4 = _lines(boxes)[1].unbind(-1)
    m1, m2, m3, m4 = _lines(whole)[1].unbind(-1)
    first, last = b2.clamp(b1, b3).clamp(0, height), b3.clamp(b2, b4).clamp(0, height)
    if clamping_mode == "hard":
        first = last = (first + last) / 2
        upper = (
            first * a2 / a1,
            b3 * a2 / a3,
            (a1 - a2) * width + first,
            (a3 - a2) * width + b3,
        )
        b2 = torch.stack(upper, 1).amax(1).clamp(max=b2)
        lower = (
            height * (1 - a3 / a4) + last * a3 / a4,
            height * (1 - a3 / a2) + b2 * a3 / a2,
            (a2 - a3) * width + b2,
            (a4 - a3) * width + last,
        )
        b3 = torch.stack(lower, 1).amin(1).clamp(min=b3)
        first = last = first.clamp(m1, m3).clamp(m2, m4)
    else:
        first, last = first.clamp(m1, m3), last.clamp(m2, m4)
    return torch.stack((first, b2.clamp(m2, m4), b3.clamp(m1, m3), last), -1)
