"""What detectors in one stage have in common: classes and boxes are told for every anchor at once."""

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models.detection._utils import check_boxes, check_targets, named_maps, sizes_of
from rushlight.vision.models.detection.rpn import by_anchor
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform
from rushlight.vision.ops import boxes as box_ops


class SingleShot(nn.Module):
    """A detector in one stage.

    Subclasses set `nms_thresh`, `detections_per_img` and `topk_candidates`, and define `losses_of` and `detections_of`.

    Args:
        backbone: makes feature maps, a tensor or several by name.
        anchor_generator: makes the boxes to start from.
        head: makes logits, codes and so on by name.
        transform: prepares pictures and targets, and brings detections back.
    """

    nms_thresh: float
    detections_per_img: int
    topk_candidates: int

    def __init__(
        self,
        backbone: nn.Module,
        anchor_generator: nn.Module,
        head: nn.Module,
        transform: GeneralizedRCNNTransform,
    ):
        super().__init__()
        self.backbone = backbone
        self.anchor_generator = anchor_generator
        self.head = head
        self.transform = transform

    def forward(self, images: list[Tensor], targets: list[dict] | None = None):
        """The losses by name in training, else the detections of each picture.

        Args:
            images: pictures (C, H, W) with values from 0 to 1, of any sizes.
            targets: for each picture the true "boxes" (N, 4) and "labels" (N,); needed in training.

        Raises:
            AssertionError: targets are missing or wrong.
        """
        if self.training:
            check_targets(targets)
        before = sizes_of(images)
        images, targets = self.transform(images, targets)
        check_boxes(targets)
        maps = list(named_maps(self.backbone(images.tensors)).values())
        outputs = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        if self.training:
            return self.losses_of(targets, outputs, anchors, maps)
        detections = self.detections_of(outputs, anchors, images.image_sizes, maps)
        return self.transform.postprocess(detections, images.image_sizes, before)

    def best_of(self, scores: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        """The best of the scores that are above a threshold, and where they are."""
        at = torch.where(scores > threshold)[0]
        best, order = scores[at].topk(min(self.topk_candidates, len(at)))
        return best, at[order]

    def suppressed(self, boxes: list[Tensor], scores: list[Tensor], labels: list[Tensor]) -> dict:
        """The detections of a picture, without those that a better one of the same class overlaps."""
        found = [torch.cat(part) for part in (boxes, scores, labels)]
        at = box_ops.batched_nms(*found, self.nms_thresh)[: self.detections_per_img]
        return dict(zip(("boxes", "scores", "labels"), [part[at] for part in found], strict=True))

    def detections_by_level(self, outputs, anchors, image_shapes, decode, score) -> list[dict]:
        """Detections of each picture, of which every map gives the best ones.

        Args:
            outputs: the head's, each as a list over maps of (N, anchors, columns).
            anchors: for each picture a list over maps of (anchors, 4).
            image_shapes: (height, width) of each picture.
            decode: function of codes and anchors that gives boxes.
            score: function of the outputs of one map of one picture, by name, that gives scores (anchors, classes).
        """
        detections = []
        for i, shape in enumerate(image_shapes):
            found: tuple[list, list, list] = ([], [], [])
            for level, own in enumerate(anchors[i]):
                here = {name: parts[level][i] for name, parts in outputs.items()}
                classes = here["cls_logits"].shape[-1]
                scores, at = self.best_of(score(here).flatten(), self.score_thresh)
                anchor = torch.div(at, classes, rounding_mode="floor")
                boxes = decode(here["bbox_regression"][anchor], own[anchor])
                for part, values in zip(
                    found, (box_ops.clip_boxes_to_image(boxes, shape), scores, at % classes), strict=True
                ):
                    part.append(values)
            detections.append(self.suppressed(*found))
        return detections


def by_level(outputs: dict[str, Tensor], anchors: list[Tensor], maps: list[Tensor]):
    """Outputs and anchors of all maps together, as lists over maps."""
    places = [x.shape[-2] * x.shape[-1] for x in maps]
    each = next(iter(outputs.values())).shape[1] // sum(places)
    counts = [n * each for n in places]
    return {k: list(v.split(counts, dim=1)) for k, v in outputs.items()}, [
        list(a.split(counts)) for a in anchors
    ]


def flattened(convolutions, maps: list[Tensor], columns: int) -> Tensor:
    """What convolutions make of each map, in the order of the anchors: (N, anchors, columns)."""
    return torch.cat([by_anchor(convolutions(x), columns) for x in maps], dim=1)


def means(image_mean, image_std) -> tuple[list[float], list[float]]:
    """Mean and deviation of the channels; ImageNet's where None."""
    return image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]


def match_anchors(matcher, anchors: list[Tensor], targets: list[dict]) -> list[Tensor]:
    """For each picture the number of each anchor's true box, negative for none."""
    return [
        torch.full((len(own),), -1, dtype=torch.int64)
        if target["boxes"].numel() == 0
        else matcher(box_ops.box_iou(target["boxes"], own))
        for own, target in zip(anchors, targets, strict=True)
    ]
