"""Keypoints of detected objects: targets, loss, and places in the picture."""

import rushlight as torch
from rushlight import Tensor
from rushlight.nn import functional as F


def keypoints_to_heatmap(keypoints: Tensor, rois: Tensor, heatmap_size: int) -> tuple[Tensor, Tensor]:
    """The cells of a grid over each box that keypoints fall into.

    Args:
        keypoints: (K, N, 3) as x, y and visibility.
        rois: boxes (K, 4).
        heatmap_size: cells along each side.

    Returns:
        Flat positions (K, N) in the grid, 0 where invalid; and which are valid: inside and visible (K, N).
    """
    low, high = rois[:, None, :2], rois[:, None, 2:]
    cell = ((keypoints[..., :2] - low) * (heatmap_size / (high - low))).floor().long()
    cell = torch.where(keypoints[..., :2] == high, heatmap_size - 1, cell)  # the far border is still inside
    inside = ((cell >= 0) & (cell < heatmap_size)).all(dim=-1)
    valid = (inside & (keypoints[..., 2] > 0)).long()
    return (cell[..., 1] * heatmap_size + cell[..., 0]) * valid, valid


def heatmaps_to_keypoints(maps: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
    """The places where maps, resized to their boxes, are largest.

    Args:
        maps: (K, N, H, W).
        rois: boxes (K, 4).

    Returns:
        Keypoints (K, N, 3) as x, y and 1; the values there (K, N).
    """
    count = maps.shape[1]
    places = torch.zeros((len(rois), count, 3), dtype=torch.float32)
    scores = torch.zeros((len(rois), count), dtype=torch.float32)
    sizes = (rois[:, 2:] - rois[:, :2]).clamp(min=1)
    for i, (width, height) in enumerate(sizes.ceil().long().tolist()):
        own = F.interpolate(maps[i][:, None], size=(height, width), mode="bicubic", align_corners=False)
        flat = own.reshape(count, -1)
        best = flat.argmax(dim=1)
        cell = torch.stack((best % width, torch.div(best, width, rounding_mode="floor")), dim=1)
        places[i, :, :2] = (cell.float() + 0.5) * (sizes[i] / torch.tensor([width, height])) + rois[i, :2]
        places[i, :, 2] = 1
        scores[i] = flat[torch.arange(count), best]
    return places, scores


def keypointrcnn_loss(
    keypoint_logits: Tensor,
    proposals: list[Tensor],
    gt_keypoints: list[Tensor],
    keypoint_matched_idxs: list[Tensor],
) -> Tensor:
    """The cross entropy of the cells of the true keypoints.

    Args:
        keypoint_logits: (all K, keypoints, H, H).
        proposals: for each picture boxes (K, 4).
        gt_keypoints: for each picture the true ones (N, keypoints, 3).
        keypoint_matched_idxs: for each picture, which object belongs to each box (K,).

    Raises:
        ValueError: the maps are not square.
    """
    count, kinds, height, width = keypoint_logits.shape
    if height != width:
        raise ValueError(
            "keypoint_logits height and width (last two elements of shape) should be equal. Instead got "
            f"H = {height} and W = {width}"
        )
    parts = zip(gt_keypoints, keypoint_matched_idxs, proposals, strict=True)
    found = [keypoints_to_heatmap(own[at], boxes, height) for own, at, boxes in parts]
    targets = torch.cat([places.reshape(-1) for places, _ in found])
    valid = torch.where(torch.cat([good.reshape(-1) for _, good in found]))[0]
    if targets.numel() == 0 or len(valid) == 0:
        return keypoint_logits.sum() * 0
    return F.cross_entropy(keypoint_logits.reshape(count * kinds, height * width)[valid], targets[valid])


def keypointrcnn_inference(x: Tensor, boxes: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """For each picture keypoints (K, N, 3) and their scores (K, N).

    Args:
        x: logits (all K, N, H, W).
        boxes: for each picture (K, 4).
    """
    maps = x.split([len(own) for own in boxes], dim=0)
    found = [heatmaps_to_keypoints(own, at) for own, at in zip(maps, boxes, strict=True)]
    return [places for places, _ in found], [scores for _, scores in found]
