"""Fast R-CNN: a detector of regions that somebody else proposes. torchvision has its successors only."""

from rushlight import nn
from rushlight.vision.models.detection._utils import check_boxes, check_targets, named_maps, sizes_of
from rushlight.vision.models.detection.backbone_utils import _validate_trainable_layers
from rushlight.vision.models.detection.faster_rcnn import (
    FastRCNNPredictor,
    TwoMLPHead,
    check_backbone,
    resnet50_fpn,
)
from rushlight.vision.models.detection.roi_heads import RoIHeads
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes
from rushlight.vision.models.resnet import ResNet50_Weights
from rushlight.vision.ops import MultiScaleRoIAlign

__all__ = ["FastRCNN", "fastrcnn_resnet50_fpn"]


class FastRCNN(nn.Module):
    """Fast R-CNN: of the features of each proposed region its class and box are told.

    Source: Girshick, Fast R-CNN, ICCV 2015.

    In training it returns the losses by name, else for each picture the detected "boxes" (D, 4), "labels" and "scores" (D,).
    Its parameters have the names of `FasterRCNN`'s, whose weights fit but for the proposing network's.

    Args:
        backbone: makes feature maps, a tensor or several by name, all with `backbone.out_channels` channels.
        num_classes: classes including the background.
        min_size: the shorter side of pictures after resizing.
        max_size: and the longest that the longer one becomes.
        image_mean: of the channels; ImageNet's by default.
        image_std: of the channels; ImageNet's by default.
        box_roi_pool: makes parts of one size of the maps "0" to "3".
        box_score_thresh: probability that detections need.
        box_nms_thresh: overlap from which on the worse of one class goes.
        box_detections_per_img: most detections of a picture.
        box_fg_iou_thresh: overlap from which on a region has a class in training.
        box_bg_iou_thresh: overlap below which it has none.
        box_batch_size_per_image: regions drawn for the loss.
        box_positive_fraction: share of those that have a class.
        bbox_reg_weights: what codes are multiplied by.

    Raises:
        ValueError: the backbone does not say how many channels its maps have.

    >>> from rushlight.vision.models.detection import FastRCNN
    >>> from rushlight.vision.ops import MultiScaleRoIAlign
    >>> backbone = torch.nn.Conv2d(3, 4, 16, stride=16)
    >>> backbone.out_channels = 4
    >>> model = FastRCNN(backbone, 3, 64, 64, box_roi_pool=MultiScaleRoIAlign(["0"], 2, 2)).eval()
    >>> found = model([torch.zeros(3, 64, 64)], [torch.tensor([[8.0, 8.0, 40.0, 40.0]])])
    >>> sorted(found[0])
    ['boxes', 'labels', 'scores']
    """

    def __init__(
        self,
        backbone,
        num_classes,
        min_size=800,
        max_size=1333,
        image_mean=(0.485, 0.456, 0.406),
        image_std=(0.229, 0.224, 0.225),
        box_roi_pool=None,
        box_score_thresh=0.05,
        box_nms_thresh=0.5,
        box_detections_per_img=100,
        box_fg_iou_thresh=0.5,
        box_bg_iou_thresh=0.5,
        box_batch_size_per_image=512,
        box_positive_fraction=0.25,
        bbox_reg_weights=None,
    ):
        check_backbone(backbone)
        super().__init__()
        pool = box_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2)
        self.transform = GeneralizedRCNNTransform(min_size, max_size, list(image_mean), list(image_std))
        self.backbone = backbone
        self.roi_heads = RoIHeads(
            pool,
            TwoMLPHead(backbone.out_channels * pool.output_size[0] ** 2, 1024),
            FastRCNNPredictor(1024, num_classes),
            box_fg_iou_thresh,
            box_bg_iou_thresh,
            box_batch_size_per_image,
            box_positive_fraction,
            bbox_reg_weights,
            box_score_thresh,
            box_nms_thresh,
            box_detections_per_img,
        )

    def forward(self, images: list, proposals: list, targets: list[dict] | None = None):
        """The losses by name in training, else the detections of each picture.

        Args:
            images: pictures (C, H, W) with values from 0 to 1, of any sizes.
            proposals: for each picture boxes (P, 4) as x1, y1, x2, y2, in its pixels.
            targets: for each picture the true "boxes" (N, 4) and "labels" (N,); needed in training.

        Raises:
            ValueError: there are not as many proposals as pictures. AssertionError: targets are missing or wrong.
        """
        if self.training:
            check_targets(targets)
        if len(proposals) != len(images):
            raise ValueError(
                f"FastRCNN: expected proposals for each of {len(images)} images, got {len(proposals)}. "
                "Give a picture without any an empty tensor of shape (0, 4)"
            )
        before = sizes_of(images)
        images, targets = self.transform(images, targets)
        check_boxes(targets)
        proposals = [
            resize_boxes(boxes, old, new)
            for boxes, old, new in zip(proposals, before, images.image_sizes, strict=True)
        ]
        features = named_maps(self.backbone(images.tensors))
        detections, losses = self.roi_heads(features, proposals, images.image_sizes, targets)
        return losses if self.training else self.transform.postprocess(detections, images.image_sizes, before)


def fastrcnn_resnet50_fpn(
    *,
    num_classes: int = 91,
    weights_backbone: ResNet50_Weights | str | None = None,
    trainable_backbone_layers: int | None = None,
    progress: bool = True,
    **kwargs,
) -> FastRCNN:
    """Fast R-CNN with ResNet-50 and a feature pyramid (Girshick, 2015; Lin et al., Feature Pyramid Networks, 2017).

    Args:
        num_classes: classes including the background.
        weights_backbone: pretrained weights of the backbone, a member of `ResNet50_Weights` or its name.
        trainable_backbone_layers: how many parts of a pretrained backbone learn, counted from the end: 0 to 5, 3 by default.
        progress: show a bar while downloading them.
        **kwargs: arguments of `FastRCNN`.
    """
    weights_backbone = ResNet50_Weights.verify(weights_backbone)
    trained = weights_backbone is not None
    layers = _validate_trainable_layers(trained, trainable_backbone_layers, 5, 3)
    return FastRCNN(resnet50_fpn(weights_backbone, progress, trained, layers), num_classes, **kwargs)
